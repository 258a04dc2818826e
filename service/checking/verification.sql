-- by_id(public_id) -> Entry?
-- One version of one certificate.
select number, version, public_id, name, project_name, exam_on, archived_on, issuing_authority,
    standing, status_index, statement_host, sealed_at, specimen
from certificate join seal_certificate on fingerprint = seal_fingerprint
where public_id = :public_id and state = 'issued';

-- by_number(number) -> Entry?
-- The newest version of a number.
select number, version, public_id, name, project_name, exam_on, archived_on, issuing_authority,
    standing, status_index, statement_host, sealed_at, specimen
from certificate join seal_certificate on fingerprint = seal_fingerprint
where number = :number and state = 'issued'
order by version desc limit 1;

-- by_file(pdf_sha256) -> Entry?
-- The certificate whose stored file is this one, byte for byte.
select number, version, public_id, name, project_name, exam_on, archived_on, issuing_authority,
    standing, status_index, statement_host, sealed_at, specimen
from certificate join seal_certificate on fingerprint = seal_fingerprint
where pdf_sha256 = :pdf_sha256 and state = 'issued';

-- by_range(range_sha256) -> Entry?
-- The certificate whose signed bytes these are, whatever else the file holds.
select number, version, public_id, name, project_name, exam_on, archived_on, issuing_authority,
    standing, status_index, statement_host, sealed_at, specimen
from certificate join seal_certificate on fingerprint = seal_fingerprint
where range_sha256 = :range_sha256 and state = 'issued';
