-- record(city_code, printer_name, edition, offset_x_tenths_mm, offset_y_tenths_mm, scale_x_per_10000, scale_y_per_10000, rotation_per_10000, applied, marks, recorded_by) -> int
-- Keep a profile, which counts from now on.
insert into printer_profile (city_code, printer_name, edition, offset_x_tenths_mm,
    offset_y_tenths_mm, scale_x_per_10000, scale_y_per_10000, rotation_per_10000, applied, marks,
    recorded_by)
values (:city_code, :printer_name, :edition, :offset_x_tenths_mm, :offset_y_tenths_mm,
    :scale_x_per_10000, :scale_y_per_10000, :rotation_per_10000, :applied, :marks, :recorded_by)
returning profile_id;

-- find(city_code, printer_name, edition, profile_id) -> Kept?
-- A profile of a printer for an edition: the newest, or the one of that id.
select profile_id, city_code, printer_name, edition, offset_x_tenths_mm, offset_y_tenths_mm,
    scale_x_per_10000, scale_y_per_10000, rotation_per_10000, applied, marks, recorded_by,
    recorded_at
from printer_profile
where city_code = :city_code and printer_name = :printer_name and edition = :edition
    and profile_id = coalesce(:profile_id::bigint, profile_id)
order by profile_id desc limit 1;

-- newest() -> [Kept]
-- What counts now, of every printer and edition.
select distinct on (city_code, printer_name, edition) profile_id, city_code, printer_name, edition,
    offset_x_tenths_mm, offset_y_tenths_mm, scale_x_per_10000, scale_y_per_10000,
    rotation_per_10000, applied, marks, recorded_by, recorded_at
from printer_profile
order by city_code, printer_name, edition, profile_id desc limit 1000;

-- history(printer_name) -> [Kept]
-- All profiles of a printer, newest first.
select profile_id, city_code, printer_name, edition, offset_x_tenths_mm, offset_y_tenths_mm,
    scale_x_per_10000, scale_y_per_10000, rotation_per_10000, applied, marks, recorded_by,
    recorded_at
from printer_profile where printer_name = :printer_name order by profile_id desc limit 1000;
