-- held(person_keys) -> [_Held]
-- Valid certificates of these persons, in any city.
select person_key, project_name, number from certificates_held(:person_keys::bytea[]);

-- standing(city_code, batch_id, person_keys, project_names, exam_days) -> [_Standing]
-- These results as they stand in other batches of the city that are not decided yet. Those batches
-- are read once: looking each row up in each of them takes minutes where both are many.
with undecided as materialized (
    select person_key, project_name, exam_on, batch.batch_id, state
    from batch join result using (batch_id, city_code)
    where city_code = :city_code and state in ('draft', 'submitted', 'returned')
        and batch_id is distinct from :batch_id
)
select person_key, project_name, exam_on, batch_id, state
from undecided join (
    select * from unnest(:person_keys::bytea[], :project_names::text[], :exam_days::date[])
) as row_of (person_key, project_name, exam_on) using (person_key, project_name, exam_on);
