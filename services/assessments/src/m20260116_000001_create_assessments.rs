//! Expand. Creates the parents (people, roles, competencies, directions, technologies), the assessments and
//! `question_history`, which holds one row a question asked.
//!
//! One transaction. Every table is new, so nobody else holds or waits for a lock on them.
//! `down` drops the tables and with them every row.

use migration_kit::{Check, Details, ServiceMigration};
use sea_orm_migration::prelude::*;

/// Creates the service's first twelve tables.
#[derive(DeriveMigrationName)]
pub struct Migration;

/// Referenced tables first; `down` drops them in the opposite order.
const TABLES: [&str; 12] = [
    "users",
    "roles",
    "user_roles",
    "competencies",
    "directions",
    "technologies",
    "direction_technologies",
    "direction_competencies",
    "technology_competencies",
    "assessments",
    "competency_assessments",
    "question_history",
];

/// One statement each: several in one message are refused where the database is distributed.
const STATEMENTS: [&str; 13] = [
    "CREATE TABLE users (
        id UUID CONSTRAINT users_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
        email VARCHAR(255) NOT NULL CONSTRAINT users_email_key UNIQUE,
        full_name VARCHAR(255),
        profile_picture_url TEXT,
        created_at TIMESTAMP DEFAULT now(),
        last_login TIMESTAMP
    )",
    "CREATE TABLE roles (
        id UUID CONSTRAINT roles_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
        name VARCHAR(255) NOT NULL,
        description TEXT,
        category VARCHAR(100),
        level VARCHAR(50),
        created_at TIMESTAMP DEFAULT now(),
        updated_at TIMESTAMP DEFAULT now()
    )",
    "CREATE TABLE user_roles (
        user_id UUID NOT NULL CONSTRAINT user_roles_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
        role_id UUID NOT NULL CONSTRAINT user_roles_role_id_fkey REFERENCES roles (id) ON DELETE CASCADE,
        CONSTRAINT user_roles_pkey PRIMARY KEY (user_id, role_id)
    )",
    "CREATE TABLE competencies (
        id UUID CONSTRAINT competencies_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
        role_id UUID CONSTRAINT competencies_role_id_fkey REFERENCES roles (id) ON DELETE CASCADE,
        name VARCHAR(255) NOT NULL,
        description TEXT,
        category VARCHAR(100),
        importance_weight INTEGER
            CONSTRAINT competencies_importance_weight_check CHECK (importance_weight BETWEEN 1 AND 5),
        order_index INTEGER,
        created_at TIMESTAMP DEFAULT now()
    )",
    "CREATE TABLE directions (
        id UUID CONSTRAINT directions_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
        name VARCHAR(255) NOT NULL CONSTRAINT directions_name_key UNIQUE,
        description TEXT,
        technologies TEXT[],
        display_name VARCHAR(255),
        order_index INTEGER,
        created_at TIMESTAMP DEFAULT now()
    )",
    "CREATE TABLE technologies (
        id UUID CONSTRAINT technologies_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
        name VARCHAR(255) NOT NULL CONSTRAINT technologies_name_key UNIQUE,
        description TEXT,
        display_name VARCHAR(255),
        order_index INTEGER,
        created_at TIMESTAMP DEFAULT now()
    )",
    "CREATE TABLE direction_technologies (
        direction_id UUID NOT NULL
            CONSTRAINT direction_technologies_direction_id_fkey REFERENCES directions (id) ON DELETE CASCADE,
        technology_id UUID NOT NULL
            CONSTRAINT direction_technologies_technology_id_fkey REFERENCES technologies (id) ON DELETE CASCADE,
        order_index INTEGER,
        CONSTRAINT direction_technologies_pkey PRIMARY KEY (direction_id, technology_id)
    )",
    "CREATE TABLE direction_competencies (
        direction_id UUID NOT NULL
            CONSTRAINT direction_competencies_direction_id_fkey REFERENCES directions (id) ON DELETE CASCADE,
        competency_id UUID NOT NULL
            CONSTRAINT direction_competencies_competency_id_fkey REFERENCES competencies (id) ON DELETE CASCADE,
        order_index INTEGER,
        CONSTRAINT direction_competencies_pkey PRIMARY KEY (direction_id, competency_id)
    )",
    "CREATE TABLE technology_competencies (
        technology_id UUID NOT NULL
            CONSTRAINT technology_competencies_technology_id_fkey REFERENCES technologies (id) ON DELETE CASCADE,
        competency_id UUID NOT NULL
            CONSTRAINT technology_competencies_competency_id_fkey REFERENCES competencies (id) ON DELETE CASCADE,
        order_index INTEGER,
        CONSTRAINT technology_competencies_pkey PRIMARY KEY (technology_id, competency_id)
    )",
    "CREATE TABLE assessments (
        id UUID CONSTRAINT assessments_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
        user_id UUID CONSTRAINT assessments_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
        role_id UUID CONSTRAINT assessments_role_id_fkey REFERENCES roles (id),
        direction_id UUID CONSTRAINT assessments_direction_id_fkey REFERENCES directions (id),
        technology_id UUID CONSTRAINT assessments_technology_id_fkey REFERENCES technologies (id),
        status VARCHAR(20) DEFAULT 'in_progress'
            CONSTRAINT assessments_status_check CHECK (status IN ('in_progress', 'completed', 'abandoned')),
        overall_score DOUBLE PRECISION,
        attempt_number INTEGER NOT NULL DEFAULT 1,
        started_at TIMESTAMP DEFAULT now(),
        completed_at TIMESTAMP
    )",
    "CREATE TABLE competency_assessments (
        id UUID CONSTRAINT competency_assessments_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
        assessment_id UUID
            CONSTRAINT competency_assessments_assessment_id_fkey REFERENCES assessments (id) ON DELETE CASCADE,
        competency_id UUID CONSTRAINT competency_assessments_competency_id_fkey REFERENCES competencies (id),
        ai_assessed_score INTEGER
            CONSTRAINT competency_assessments_ai_assessed_score_check CHECK (ai_assessed_score BETWEEN 1 AND 5),
        confidence_level VARCHAR(20)
            CONSTRAINT competency_assessments_confidence_level_check
            CHECK (confidence_level IN ('low', 'medium', 'high')),
        gap_analysis JSONB,
        test_session_data JSONB,
        completed_at TIMESTAMP
    )",
    "CREATE TABLE question_history (
        id UUID CONSTRAINT question_history_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
        competency_assessment_id UUID CONSTRAINT question_history_competency_assessment_id_fkey
            REFERENCES competency_assessments (id) ON DELETE CASCADE,
        question_text TEXT NOT NULL,
        question_type VARCHAR(50),
        difficulty_level INTEGER
            CONSTRAINT question_history_difficulty_level_check CHECK (difficulty_level BETWEEN 1 AND 5),
        user_answer_transcript TEXT,
        audio_duration_seconds INTEGER,
        transcription_confidence DOUBLE PRECISION,
        is_correct BOOLEAN,
        ai_evaluation JSONB,
        time_spent_seconds INTEGER,
        asked_at TIMESTAMP DEFAULT now(),
        answered_at TIMESTAMP
    )",
    "CREATE INDEX idx_question_history_competency_assessment_id ON question_history (competency_assessment_id)",
];

/// What later migrations and the entities rely on, written as [`Check::table`] compares it.
const COLUMNS: [(&str, &[&str]); 12] = [
    (
        "users",
        &[
            "id uuid not null default gen_random_uuid()",
            "email character varying(255) not null",
            "full_name character varying(255)",
            "profile_picture_url text",
            "created_at timestamp without time zone default now()",
            "last_login timestamp without time zone",
        ],
    ),
    (
        "roles",
        &[
            "id uuid not null default gen_random_uuid()",
            "name character varying(255) not null",
            "description text",
            "category character varying(100)",
            "level character varying(50)",
            "created_at timestamp without time zone default now()",
            "updated_at timestamp without time zone default now()",
        ],
    ),
    ("user_roles", &["user_id uuid not null", "role_id uuid not null"]),
    (
        "competencies",
        &[
            "id uuid not null default gen_random_uuid()",
            "role_id uuid",
            "name character varying(255) not null",
            "description text",
            "category character varying(100)",
            "importance_weight integer",
            "order_index integer",
            "created_at timestamp without time zone default now()",
        ],
    ),
    (
        "directions",
        &[
            "id uuid not null default gen_random_uuid()",
            "name character varying(255) not null",
            "description text",
            "technologies text[]",
            "display_name character varying(255)",
            "order_index integer",
            "created_at timestamp without time zone default now()",
        ],
    ),
    (
        "technologies",
        &[
            "id uuid not null default gen_random_uuid()",
            "name character varying(255) not null",
            "description text",
            "display_name character varying(255)",
            "order_index integer",
            "created_at timestamp without time zone default now()",
        ],
    ),
    (
        "direction_technologies",
        &["direction_id uuid not null", "technology_id uuid not null", "order_index integer"],
    ),
    (
        "direction_competencies",
        &["direction_id uuid not null", "competency_id uuid not null", "order_index integer"],
    ),
    (
        "technology_competencies",
        &["technology_id uuid not null", "competency_id uuid not null", "order_index integer"],
    ),
    (
        "assessments",
        &[
            "id uuid not null default gen_random_uuid()",
            "user_id uuid",
            "role_id uuid",
            "direction_id uuid",
            "technology_id uuid",
            "status character varying(20) default in_progress",
            "overall_score double precision",
            "attempt_number integer not null default 1",
            "started_at timestamp without time zone default now()",
            "completed_at timestamp without time zone",
        ],
    ),
    (
        "competency_assessments",
        &[
            "id uuid not null default gen_random_uuid()",
            "assessment_id uuid",
            "competency_id uuid",
            "ai_assessed_score integer",
            "confidence_level character varying(20)",
            "gap_analysis jsonb",
            "test_session_data jsonb",
            "completed_at timestamp without time zone",
        ],
    ),
    (
        "question_history",
        &[
            "id uuid not null default gen_random_uuid()",
            "competency_assessment_id uuid",
            "question_text text not null",
            "question_type character varying(50)",
            "difficulty_level integer",
            "is_correct boolean",
            "time_spent_seconds integer",
            "asked_at timestamp without time zone default now()",
            "answered_at timestamp without time zone",
        ],
    ),
];

/// Columns of `question_history` that the contract step drops.
const RAW_ANSWERS: [(&str, &str); 4] = [
    ("user_answer_transcript", "text"),
    ("audio_duration_seconds", "integer"),
    ("transcription_confidence", "double precision"),
    ("ai_evaluation", "jsonb"),
];

/// Table and constraint.
const CONSTRAINTS: [(&str, &str); 36] = [
    ("users", "users_pkey"),
    ("users", "users_email_key"),
    ("roles", "roles_pkey"),
    ("user_roles", "user_roles_user_id_fkey"),
    ("user_roles", "user_roles_role_id_fkey"),
    ("user_roles", "user_roles_pkey"),
    ("competencies", "competencies_importance_weight_check"),
    ("competencies", "competencies_role_id_fkey"),
    ("competencies", "competencies_pkey"),
    ("directions", "directions_pkey"),
    ("directions", "directions_name_key"),
    ("technologies", "technologies_pkey"),
    ("technologies", "technologies_name_key"),
    ("direction_technologies", "direction_technologies_direction_id_fkey"),
    ("direction_technologies", "direction_technologies_technology_id_fkey"),
    ("direction_technologies", "direction_technologies_pkey"),
    ("direction_competencies", "direction_competencies_competency_id_fkey"),
    ("direction_competencies", "direction_competencies_direction_id_fkey"),
    ("direction_competencies", "direction_competencies_pkey"),
    ("technology_competencies", "technology_competencies_technology_id_fkey"),
    ("technology_competencies", "technology_competencies_competency_id_fkey"),
    ("technology_competencies", "technology_competencies_pkey"),
    ("assessments", "assessments_status_check"),
    ("assessments", "assessments_role_id_fkey"),
    ("assessments", "assessments_user_id_fkey"),
    ("assessments", "assessments_direction_id_fkey"),
    ("assessments", "assessments_technology_id_fkey"),
    ("assessments", "assessments_pkey"),
    ("competency_assessments", "competency_assessments_confidence_level_check"),
    ("competency_assessments", "competency_assessments_ai_assessed_score_check"),
    ("competency_assessments", "competency_assessments_assessment_id_fkey"),
    ("competency_assessments", "competency_assessments_competency_id_fkey"),
    ("competency_assessments", "competency_assessments_pkey"),
    ("question_history", "question_history_difficulty_level_check"),
    ("question_history", "question_history_competency_assessment_id_fkey"),
    ("question_history", "question_history_pkey"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in STATEMENTS {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES.iter().rev() {
            manager.get_connection().execute_unprepared(&format!("DROP TABLE {table}")).await?;
        }
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        let mut details = Details::expand()
            .accepts(
                "foreign-key-without-index",
                "as in the tables that the application had before it had migrations",
            )
            .accepts(
                "timestamp-without-zone",
                "as in the tables that the application had before it had migrations",
            )
            .loses_on_revert("every row of the service's tables")
            .verify(Check::index("idx_question_history_competency_assessment_id"));
        for (table, columns) in COLUMNS {
            details = details.verify(Check::table(table, columns));
        }
        for (table, constraint) in CONSTRAINTS {
            details = details.verify(Check::constraint(table, constraint));
        }
        for (column, type_) in RAW_ANSWERS {
            let check = Check::column("question_history", column, type_);
            details = details.verify(check.until("m20260126_000004_drop_raw_answers"));
        }
        details
    }
}
