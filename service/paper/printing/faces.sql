-- faces(run_id, round, limit) -> [Face]
-- The sheets of a round in the order of their serials, or before any is drawn the lines of the run.
select line.number, version, certificate.city_code, public_id, identifier, edition, name, sex,
    born_on, id_kind, id_encrypted, project_name, score, exam_on, archived_on, issuing_authority,
    issuer_code, seal_name, replaces, photo_sha256, serial, remark, drawn_at, pdf_sha256
from print_line line join certificate using (number, version)
    left join sheet using (run_id, number, version)
    left join print_round using (run_id, round)
where run_id = :run_id and coalesce(round, 0) = :round
order by serial, line.position limit :limit;

-- count_pdf(run_id, round, profile_id) -> int
-- How often the faces of a round were made, with this time, and for which printer the last.
update print_round set pdf_count = pdf_count + 1, profile_id = :profile_id
where run_id = :run_id and round = :round and settled_by is null
returning pdf_count;
