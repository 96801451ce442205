-- See the PostgreSQL file of the same name. TEXT PRIMARY KEY needs NOT NULL in SQLite.
CREATE TABLE deployments (
    id             TEXT NOT NULL PRIMARY KEY,
    name           TEXT NOT NULL,
    model_id       TEXT NOT NULL,
    target_alias   TEXT,          -- exactly one of the two targets is set
    target_version BIGINT,
    contract_mode  TEXT NOT NULL, -- strict, warn, impute
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    etag           BIGINT NOT NULL,
    CONSTRAINT deployments_name_key UNIQUE (name),
    CONSTRAINT deployments_model_fk FOREIGN KEY (model_id) REFERENCES registered_models (id),
    CONSTRAINT deployments_version_fk FOREIGN KEY (model_id, target_version) REFERENCES model_versions (model_id, number),
    CONSTRAINT deployments_one_target CHECK ((target_alias IS NULL) <> (target_version IS NULL))
);
CREATE INDEX deployments_model ON deployments (model_id);
