-- by_id(public_id) -> Entry?
-- One version of one certificate.
select number, version, public_id, name, project_name, exam_on, archived_on, issuing_authority,
    standing, successor, origin, status_index, statement_host, sealed_at, specimen,
    paper_digits, has_photo
from entry where public_id = :public_id;

-- by_number(number) -> [Entry]
-- Every version of a number, newest first.
select number, version, public_id, name, project_name, exam_on, archived_on, issuing_authority,
    standing, successor, origin, status_index, statement_host, sealed_at, specimen,
    paper_digits, has_photo
from entry where number = :number order by version desc limit 999;

-- by_file(pdf_sha256) -> Entry?
-- The certificate whose stored file is this one, byte for byte.
select number, version, public_id, name, project_name, exam_on, archived_on, issuing_authority,
    standing, successor, origin, status_index, statement_host, sealed_at, specimen,
    paper_digits, has_photo
from entry where pdf_sha256 = :pdf_sha256;

-- document(pdf_sha256) -> _Document?
-- The centre that had this very file sealed as a document, by the name of that day, and by which seal.
select coalesce((
    select centre_name from centre
    where centre.city_code = sealed_document.city_code
        and valid_from <= (sealed_at at time zone 'Asia/Shanghai')::date
    order by valid_from desc limit 1), sealed_document.city_code) as centre_name,
    specimen
from sealed_document
    join seal_certificate on seal_certificate.fingerprint = sealed_document.seal_fingerprint
where sealed_document.sha256 = :pdf_sha256;

-- by_range(range_sha256) -> Entry?
-- The certificate whose signed bytes these are, whatever else the file holds.
select number, version, public_id, name, project_name, exam_on, archived_on, issuing_authority,
    standing, successor, origin, status_index, statement_host, sealed_at, specimen,
    paper_digits, has_photo
from entry where range_sha256 = :range_sha256;

-- known_numbers(numbers) -> [str]
-- Those of these numbers that are ours, whoever holds them.
select distinct number from entry where number = any (:numbers::text[]) limit 100;
