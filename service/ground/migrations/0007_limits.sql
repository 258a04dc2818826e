-- Limits: counts that several serving processes share. A crash of the server may empty the table.
-- Run before the code that uses it.

set local lock_timeout = '10s';

create unlogged table limit_count (
    rule text not null check (rule ~ '^[a-z-]{1,40}$'),
    key bytea not null check (length(key) = 16),
    ends_at timestamptz not null,
    count int8 not null check (count > 0),
    primary key (rule, key)
) with (fillfactor = 50);
comment on table limit_count is 'How often a key asked under a rule in the window that ends then.';
comment on column limit_count.key is 'A digest of the address, the number or the keyed hash of a person.';
create index limit_count_past on limit_count (ends_at);
grant select, insert, update, delete on limit_count to qianfa_portal;
