-- Generated from the migrations. Commit it with them; do not edit it by hand.
-- The schema of `assessments` after all its migrations, contract steps included.
-- As pg_dump writes it for PostgreSQL 15.

CREATE SCHEMA assessments;
CREATE TABLE assessments.assessments (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid,
    role_id uuid,
    direction_id uuid,
    technology_id uuid,
    status character varying(20) DEFAULT 'in_progress'::character varying,
    overall_score double precision,
    attempt_number integer DEFAULT 1 NOT NULL,
    started_at timestamp without time zone DEFAULT now(),
    completed_at timestamp without time zone,
    CONSTRAINT assessments_status_check CHECK (((status)::text = ANY ((ARRAY['in_progress'::character varying, 'completed'::character varying, 'abandoned'::character varying])::text[])))
);
CREATE TABLE assessments.competencies (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    role_id uuid,
    name character varying(255) NOT NULL,
    description text,
    category character varying(100),
    importance_weight integer,
    order_index integer,
    created_at timestamp without time zone DEFAULT now(),
    CONSTRAINT competencies_importance_weight_check CHECK (((importance_weight >= 1) AND (importance_weight <= 5)))
);
CREATE TABLE assessments.competency_assessments (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    assessment_id uuid,
    competency_id uuid,
    ai_assessed_score integer,
    confidence_level character varying(20),
    gap_analysis jsonb,
    test_session_data jsonb,
    completed_at timestamp without time zone,
    CONSTRAINT competency_assessments_ai_assessed_score_check CHECK (((ai_assessed_score >= 1) AND (ai_assessed_score <= 5))),
    CONSTRAINT competency_assessments_confidence_level_check CHECK (((confidence_level)::text = ANY ((ARRAY['low'::character varying, 'medium'::character varying, 'high'::character varying])::text[])))
);
CREATE TABLE assessments.direction_competencies (
    direction_id uuid NOT NULL,
    competency_id uuid NOT NULL,
    order_index integer
);
CREATE TABLE assessments.direction_technologies (
    direction_id uuid NOT NULL,
    technology_id uuid NOT NULL,
    order_index integer
);
CREATE TABLE assessments.directions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    name character varying(255) NOT NULL,
    description text,
    technologies text[],
    display_name character varying(255),
    order_index integer,
    created_at timestamp without time zone DEFAULT now()
);
CREATE TABLE assessments.question_history (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    competency_assessment_id uuid,
    question_text text NOT NULL,
    question_type character varying(50),
    difficulty_level integer,
    is_correct boolean,
    time_spent_seconds integer,
    asked_at timestamp without time zone DEFAULT now(),
    answered_at timestamp without time zone,
    question_id uuid,
    score integer,
    understanding_depth character varying(20),
    feedback text,
    knowledge_gaps text[],
    CONSTRAINT question_history_difficulty_level_check CHECK (((difficulty_level >= 1) AND (difficulty_level <= 5))),
    CONSTRAINT question_history_score_check CHECK (((score >= 1) AND (score <= 5))),
    CONSTRAINT question_history_understanding_depth_check CHECK (((understanding_depth)::text = ANY ((ARRAY['shallow'::character varying, 'medium'::character varying, 'deep'::character varying])::text[])))
);
COMMENT ON COLUMN assessments.question_history.score IS 'Score of the answer, 1 to 5';
COMMENT ON COLUMN assessments.question_history.understanding_depth IS 'How deep the understanding is: shallow, medium or deep';
COMMENT ON COLUMN assessments.question_history.feedback IS 'What the person is told about the answer';
COMMENT ON COLUMN assessments.question_history.knowledge_gaps IS 'What the person should learn; an empty list says that nothing is missing';
CREATE TABLE assessments.questions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    competency_id uuid,
    question_text text NOT NULL,
    difficulty integer NOT NULL,
    question_number integer,
    expected_key_points jsonb,
    estimated_answer_time character varying(50),
    used_count integer DEFAULT 0,
    created_at timestamp without time zone DEFAULT now(),
    CONSTRAINT questions_difficulty_check CHECK (((difficulty >= 1) AND (difficulty <= 5))),
    CONSTRAINT questions_question_number_check CHECK (((question_number >= 1) AND (question_number <= 5)))
);
CREATE TABLE assessments.roles (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    name character varying(255) NOT NULL,
    description text,
    category character varying(100),
    level character varying(50),
    created_at timestamp without time zone DEFAULT now(),
    updated_at timestamp without time zone DEFAULT now()
);
CREATE TABLE assessments.technologies (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    name character varying(255) NOT NULL,
    description text,
    display_name character varying(255),
    order_index integer,
    created_at timestamp without time zone DEFAULT now()
);
CREATE TABLE assessments.technology_competencies (
    technology_id uuid NOT NULL,
    competency_id uuid NOT NULL,
    order_index integer
);
CREATE TABLE assessments.user_roles (
    user_id uuid NOT NULL,
    role_id uuid NOT NULL
);
CREATE TABLE assessments.users (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    email character varying(255) NOT NULL,
    full_name character varying(255),
    profile_picture_url text,
    created_at timestamp without time zone DEFAULT now(),
    last_login timestamp without time zone
);
ALTER TABLE ONLY assessments.assessments
    ADD CONSTRAINT assessments_pkey PRIMARY KEY (id);
ALTER TABLE ONLY assessments.competencies
    ADD CONSTRAINT competencies_pkey PRIMARY KEY (id);
ALTER TABLE ONLY assessments.competency_assessments
    ADD CONSTRAINT competency_assessments_pkey PRIMARY KEY (id);
ALTER TABLE ONLY assessments.direction_competencies
    ADD CONSTRAINT direction_competencies_pkey PRIMARY KEY (direction_id, competency_id);
ALTER TABLE ONLY assessments.direction_technologies
    ADD CONSTRAINT direction_technologies_pkey PRIMARY KEY (direction_id, technology_id);
ALTER TABLE ONLY assessments.directions
    ADD CONSTRAINT directions_name_key UNIQUE (name);
ALTER TABLE ONLY assessments.directions
    ADD CONSTRAINT directions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY assessments.question_history
    ADD CONSTRAINT question_history_pkey PRIMARY KEY (id);
ALTER TABLE ONLY assessments.questions
    ADD CONSTRAINT questions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY assessments.roles
    ADD CONSTRAINT roles_pkey PRIMARY KEY (id);
ALTER TABLE ONLY assessments.technologies
    ADD CONSTRAINT technologies_name_key UNIQUE (name);
ALTER TABLE ONLY assessments.technologies
    ADD CONSTRAINT technologies_pkey PRIMARY KEY (id);
ALTER TABLE ONLY assessments.technology_competencies
    ADD CONSTRAINT technology_competencies_pkey PRIMARY KEY (technology_id, competency_id);
ALTER TABLE ONLY assessments.user_roles
    ADD CONSTRAINT user_roles_pkey PRIMARY KEY (user_id, role_id);
ALTER TABLE ONLY assessments.users
    ADD CONSTRAINT users_email_key UNIQUE (email);
ALTER TABLE ONLY assessments.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE INDEX idx_question_history_competency_assessment_id ON assessments.question_history USING btree (competency_assessment_id);
CREATE INDEX idx_question_history_is_correct ON assessments.question_history USING btree (is_correct) WHERE (is_correct IS NOT NULL);
CREATE INDEX idx_question_history_question_id ON assessments.question_history USING btree (question_id);
CREATE INDEX idx_question_history_score ON assessments.question_history USING btree (score) WHERE (score IS NOT NULL);
ALTER TABLE ONLY assessments.assessments
    ADD CONSTRAINT assessments_direction_id_fkey FOREIGN KEY (direction_id) REFERENCES assessments.directions(id);
ALTER TABLE ONLY assessments.assessments
    ADD CONSTRAINT assessments_role_id_fkey FOREIGN KEY (role_id) REFERENCES assessments.roles(id);
ALTER TABLE ONLY assessments.assessments
    ADD CONSTRAINT assessments_technology_id_fkey FOREIGN KEY (technology_id) REFERENCES assessments.technologies(id);
ALTER TABLE ONLY assessments.assessments
    ADD CONSTRAINT assessments_user_id_fkey FOREIGN KEY (user_id) REFERENCES assessments.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY assessments.competencies
    ADD CONSTRAINT competencies_role_id_fkey FOREIGN KEY (role_id) REFERENCES assessments.roles(id) ON DELETE CASCADE;
ALTER TABLE ONLY assessments.competency_assessments
    ADD CONSTRAINT competency_assessments_assessment_id_fkey FOREIGN KEY (assessment_id) REFERENCES assessments.assessments(id) ON DELETE CASCADE;
ALTER TABLE ONLY assessments.competency_assessments
    ADD CONSTRAINT competency_assessments_competency_id_fkey FOREIGN KEY (competency_id) REFERENCES assessments.competencies(id);
ALTER TABLE ONLY assessments.direction_competencies
    ADD CONSTRAINT direction_competencies_competency_id_fkey FOREIGN KEY (competency_id) REFERENCES assessments.competencies(id) ON DELETE CASCADE;
ALTER TABLE ONLY assessments.direction_competencies
    ADD CONSTRAINT direction_competencies_direction_id_fkey FOREIGN KEY (direction_id) REFERENCES assessments.directions(id) ON DELETE CASCADE;
ALTER TABLE ONLY assessments.direction_technologies
    ADD CONSTRAINT direction_technologies_direction_id_fkey FOREIGN KEY (direction_id) REFERENCES assessments.directions(id) ON DELETE CASCADE;
ALTER TABLE ONLY assessments.direction_technologies
    ADD CONSTRAINT direction_technologies_technology_id_fkey FOREIGN KEY (technology_id) REFERENCES assessments.technologies(id) ON DELETE CASCADE;
ALTER TABLE ONLY assessments.question_history
    ADD CONSTRAINT question_history_competency_assessment_id_fkey FOREIGN KEY (competency_assessment_id) REFERENCES assessments.competency_assessments(id) ON DELETE CASCADE;
ALTER TABLE ONLY assessments.question_history
    ADD CONSTRAINT question_history_question_id_fkey FOREIGN KEY (question_id) REFERENCES assessments.questions(id) ON DELETE SET NULL;
ALTER TABLE ONLY assessments.questions
    ADD CONSTRAINT questions_competency_id_fkey FOREIGN KEY (competency_id) REFERENCES assessments.competencies(id) ON DELETE CASCADE;
ALTER TABLE ONLY assessments.technology_competencies
    ADD CONSTRAINT technology_competencies_competency_id_fkey FOREIGN KEY (competency_id) REFERENCES assessments.competencies(id) ON DELETE CASCADE;
ALTER TABLE ONLY assessments.technology_competencies
    ADD CONSTRAINT technology_competencies_technology_id_fkey FOREIGN KEY (technology_id) REFERENCES assessments.technologies(id) ON DELETE CASCADE;
ALTER TABLE ONLY assessments.user_roles
    ADD CONSTRAINT user_roles_role_id_fkey FOREIGN KEY (role_id) REFERENCES assessments.roles(id) ON DELETE CASCADE;
ALTER TABLE ONLY assessments.user_roles
    ADD CONSTRAINT user_roles_user_id_fkey FOREIGN KEY (user_id) REFERENCES assessments.users(id) ON DELETE CASCADE;
