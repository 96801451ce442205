CREATE TABLE deployments (
    id             TEXT COLLATE "C" PRIMARY KEY,
    name           TEXT COLLATE "C" NOT NULL,
    model_id       TEXT COLLATE "C" NOT NULL,
    target_alias   TEXT COLLATE "C",          -- exactly one of the two targets is set
    target_version BIGINT,
    contract_mode  TEXT COLLATE "C" NOT NULL, -- strict, warn, impute
    created_at     BIGINT           NOT NULL,
    updated_at     BIGINT           NOT NULL,
    etag           BIGINT           NOT NULL,
    CONSTRAINT deployments_name_key UNIQUE (name),
    CONSTRAINT deployments_model_fk FOREIGN KEY (model_id) REFERENCES registered_models (id),
    CONSTRAINT deployments_version_fk FOREIGN KEY (model_id, target_version) REFERENCES model_versions (model_id, number),
    CONSTRAINT deployments_one_target CHECK ((target_alias IS NULL) <> (target_version IS NULL))
);
CREATE INDEX deployments_model ON deployments (model_id);
