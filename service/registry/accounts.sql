-- find(account_name) -> _Account?
-- An account that is not disabled.
select account_name, role, city_code, secret_hash from account
where account_name = :account_name and disabled_at is null;

-- add(account_name, role, city_code, secret_hash) -> none
-- Names are never used twice.
insert into account (account_name, role, city_code, secret_hash)
values (:account_name, :role, :city_code, :secret_hash);

-- disable(account_name) -> str?
-- The name, when the account was live.
update account set disabled_at = now()
where account_name = :account_name and disabled_at is null
returning account_name;

-- all_accounts() -> [Account]
-- Every account that there ever was, as far as the actor's city sees it.
select account_name, role, city_code, disabled_at from account
order by city_code, role, account_name limit 10000;

-- founded() -> bool
-- Whether there is any account.
select exists (select 1 from account);

-- lock_founding() -> none
-- Two processes that start at once found one registry.
select pg_advisory_xact_lock(hashtext('founding'));
