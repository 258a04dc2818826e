-- find(person_keys, phone_keys) -> [_Found]
-- Issued certificates of these persons, and whether a phone's last digits are theirs.
select person_key, name, number, phone_agrees
from portal_find(:person_keys::bytea[], :phone_keys::bytea[]);

-- begin(session, person_keys, now) -> none
-- Only the hash of the session's token is kept.
select portal_begin(:session, :person_keys::bytea[], :now);

-- end(session) -> none
-- It is as if it had never been.
select portal_end(:session);

-- held(session, now) -> [Held]
-- All certificates of a session's person, newest first; the session lasts on.
select number, version, public_id, name, project_name, exam_on, archived_on, issuing_authority,
    standing, origin, specimen, has_file
from portal_held(:session, :now);

-- share(session, now, public_id, seed, token_hash, until) -> bool
-- Whether a link was made: for a valid certificate of one's own.
select portal_share(:session, :now, :public_id, :seed, :token_hash, :until);

-- shares(session, now, public_id) -> [Share]
-- The links to a certificate of one's own, the live and then the newest first.
select share_id, seed, expires_at, ended, look_days, look_counts
from portal_shares(:session, :now, :public_id);

-- unshare(session, now, public_id, share_id) -> bool
-- Whether there was such a link to a certificate of one's own.
select portal_unshare(:session, :now, :public_id, :share_id);

-- open(token_hash, now, counted) -> str?
-- The certificate behind a live share link.
select portal_open(:token_hash, :now, :counted) as public_id;

-- report(session, now, public_id, field, proposal) -> bool
-- Whether it was taken down: for a certificate of one's own.
select portal_report(:session, :now, :public_id, :field, :proposal);

-- reports(session, now, public_id) -> [Report]
-- What was reported of a certificate of one's own, newest first.
select field, proposal, made_at, taken_at from portal_reports(:session, :now, :public_id);

-- file_of(public_id) -> Filed?
-- Where an issued certificate's file is kept.
select number, pdf_sha256 from entry where public_id = :public_id and pdf_sha256 is not null;

-- open_reports() -> [OpenReport]
-- What the actor's city has not taken up yet, oldest first.
select report_id, report.city_code, number, version, field, proposal, made_at
from mistake_report report join certificate using (public_id)
where taken_at is null order by report_id limit 200;

-- take(report_id, account_name) -> _Taken?
-- An open report of the actor's city.
update mistake_report report set taken_by = :account_name, taken_at = now()
from certificate
where report_id = :report_id and taken_at is null and certificate.public_id = report.public_id
returning report.city_code, number, version, field;
