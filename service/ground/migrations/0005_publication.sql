-- Publication: keys of status lists beside those of statements, and the lists themselves.
-- Run before the code that uses it.

set local lock_timeout = '10s';

-- Keys published before had no mark of their own: they are specimens where the seals are.
do $$
begin
    execute format($alter$
        alter table statement_key
            add column purpose text not null default 'statement'
                check (purpose in ('statement', 'status')),
            add column specimen boolean not null default %L
        $alter$, (select coalesce(bool_or(specimen), false) from seal_certificate));
end
$$;
alter table statement_key alter column purpose drop default, alter column specimen drop default;

create table status_list (
    list_number int primary key check (list_number >= 0),
    wanted bigint not null default 1,
    signed bigint not null default 0 check (signed <= wanted),
    kid bytea references statement_key,
    issued_at timestamptz,
    expires_at timestamptz,
    places_sha256 bytea check (length(places_sha256) = 32),
    token bytea,
    constraint status_list_whole check ((signed = 0) = (token is null) and (token is null) =
        all (array[kid is null, issued_at is null, expires_at is null, places_sha256 is null])),
    constraint status_list_order check (issued_at < expires_at)
);
comment on table status_list is 'The newest signed form of each status list; it is due while signed < wanted.';
comment on column status_list.wanted is 'Counts the changes that the list must show.';

create function status_list_wanted() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
begin
    if new.standing = 'valid' and new.state <> 'void' and old.status_index is null then
        -- A place handed out is 0 already, and workers never wait for each other here.
        insert into status_list (list_number) values (new.status_index >> 20)
            on conflict do nothing;
        if not found then
            return null;
        end if;
    else
        -- Older versions of the number stand as the newest does.
        insert into status_list (list_number)
            select distinct (status_index >> 20)::int from certificate
            where number = new.number and version <= new.version and status_index is not null
            order by 1
            on conflict (list_number) do update set wanted = status_list.wanted + 1;
    end if;
    perform pg_notify('status_list_wanted', '');
    return null;
end
$$;
create trigger status_list_opened after insert on certificate
    for each row when (new.status_index is not null) execute function status_list_wanted();
create trigger status_list_changed after update of status_index, standing, state on certificate
    for each row when (new.status_index is not null and (old.status_index is null
        or (old.standing, old.state = 'void') is distinct from (new.standing, new.state = 'void')))
    execute function status_list_wanted();

insert into status_list (list_number)
    select distinct (status_index >> 20)::int from certificate where status_index is not null;

-- A number that was made void after its index was promised is cancelled in its list.
create index certificate_void_listed on certificate (status_index)
    where state = 'void' and status_index is not null;

create trigger never_deleted before delete on status_list
    for each row execute function refuse_change();
grant select, update on status_list to qianfa_worker;
grant select (list_number, wanted, signed, issued_at, expires_at, token) on status_list to qianfa_public;
