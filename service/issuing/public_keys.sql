-- add_certificate(fingerprint, city_code, certificate, chain, specimen, valid_from, valid_until) -> bytes?
-- Its fingerprint, when it is new.
insert into seal_certificate (fingerprint, city_code, certificate, chain, specimen, valid_from,
    valid_until)
values (:fingerprint, :city_code, :certificate, :chain, :specimen, :valid_from, :valid_until)
on conflict do nothing
returning fingerprint;

-- add_key(kid, public_key, purpose, specimen, valid_from, valid_until) -> bytes?
-- Its kid, when it is new.
insert into statement_key (kid, public_key, purpose, specimen, valid_from, valid_until)
values (:kid, :public_key, :purpose, :specimen, :valid_from, :valid_until)
on conflict do nothing
returning kid;

-- certificates() -> [_SealCertificate]
-- All that were ever published.
select certificate, chain from seal_certificate order by valid_from limit 10000;

-- keys() -> [_StatementKey]
-- All that were ever published.
select kid, public_key, purpose, specimen, valid_from, valid_until from statement_key
order by valid_from, kid limit 10000;
