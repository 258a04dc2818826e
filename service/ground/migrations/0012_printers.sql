-- Printers: how each displaces a page on each blank edition, as measured, with all that was before.
-- Run before the code that uses it.

set local lock_timeout = '10s';

create table printer_profile (
    profile_id bigint generated always as identity primary key,
    city_code text not null references city,
    printer_name text not null check (printer_name ~ '^\S(.{0,38}\S)?$'),
    edition text not null check (edition ~ '^[0-9a-z][0-9a-z-]{0,19}$'),
    offset_x_tenths_mm int not null check (offset_x_tenths_mm between -300 and 300),
    offset_y_tenths_mm int not null check (offset_y_tenths_mm between -300 and 300),
    scale_x_per_10000 int not null check (scale_x_per_10000 between -200 and 200),
    scale_y_per_10000 int not null check (scale_y_per_10000 between -200 and 200),
    rotation_per_10000 int not null check (rotation_per_10000 between -200 and 200),
    applied bigint,
    marks jsonb not null,
    recorded_by text not null references account,
    recorded_at timestamptz not null default now(),
    constraint printer_profile_own unique (city_code, printer_name, edition, profile_id),
    constraint printer_profile_applied foreign key (city_code, printer_name, edition, applied)
        references printer_profile (city_code, printer_name, edition, profile_id)
);
comment on table printer_profile is 'The newest of a printer and edition counts.';
comment on column printer_profile.applied is 'The profile that the measured calibration sheet was printed with; null: none.';
comment on column printer_profile.marks is 'What was measured: the number of each mark and its mm from the left and top edge.';
create trigger append_only before update or delete on printer_profile
    for each row execute function refuse_change();
create trigger append_only_whole before truncate on printer_profile
    for each statement execute function refuse_change();

alter table printer_profile enable row level security;
create policy own_city on printer_profile to qianfa_console
    using (acting_for(city_code)) with check (acting_for(city_code));
grant select on printer_profile to qianfa_console;
grant insert (city_code, printer_name, edition, offset_x_tenths_mm, offset_y_tenths_mm,
    scale_x_per_10000, scale_y_per_10000, rotation_per_10000, applied, marks, recorded_by)
    on printer_profile to qianfa_console;
