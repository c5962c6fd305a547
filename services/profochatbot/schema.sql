-- Generated from the migrations. Commit it with them; do not edit it by hand.
-- The schema of `profochatbot` after all its migrations, contract steps included.
-- As pg_dump writes it for PostgreSQL 15.

CREATE SCHEMA profochatbot;
CREATE TABLE profochatbot.account (
    account_id integer NOT NULL,
    name text NOT NULL,
    slug text NOT NULL,
    plan text DEFAULT 'free'::text NOT NULL,
    created_at timestamp without time zone DEFAULT now() NOT NULL,
    updated_at timestamp without time zone DEFAULT now() NOT NULL,
    is_active boolean DEFAULT true NOT NULL,
    settings jsonb
);
CREATE SEQUENCE profochatbot.account_account_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE profochatbot.account_account_id_seq OWNED BY profochatbot.account.account_id;
CREATE TABLE profochatbot.account_member (
    account_member_id integer NOT NULL,
    account_id integer NOT NULL,
    telegram_user_id bigint NOT NULL,
    telegram_username text,
    role text DEFAULT 'member'::text NOT NULL,
    created_at timestamp without time zone DEFAULT now() NOT NULL,
    last_login_at timestamp without time zone,
    is_active boolean DEFAULT true NOT NULL
);
CREATE SEQUENCE profochatbot.account_member_account_member_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE profochatbot.account_member_account_member_id_seq OWNED BY profochatbot.account_member.account_member_id;
CREATE TABLE profochatbot.bannedparticipants (
    bannedparticipant_id integer NOT NULL,
    botname text,
    chat_id bigint NOT NULL,
    banned_at timestamp without time zone DEFAULT now(),
    ban_reason text,
    excluded smallint,
    account_id integer NOT NULL,
    bot_id integer,
    metadata jsonb,
    CONSTRAINT bannedparticipants_bot_check CHECK (((bot_id IS NOT NULL) OR (botname IS NOT NULL)))
);
CREATE SEQUENCE profochatbot.bannedparticipants_bannedparticipant_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE profochatbot.bannedparticipants_bannedparticipant_id_seq OWNED BY profochatbot.bannedparticipants.bannedparticipant_id;
CREATE TABLE profochatbot.bot (
    bot_id integer NOT NULL,
    account_id integer NOT NULL,
    bot_name text NOT NULL,
    bot_token text,
    display_name text,
    description text,
    created_at timestamp without time zone DEFAULT now() NOT NULL,
    updated_at timestamp without time zone DEFAULT now() NOT NULL,
    is_active boolean DEFAULT true NOT NULL,
    settings jsonb
);
CREATE SEQUENCE profochatbot.bot_bot_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE profochatbot.bot_bot_id_seq OWNED BY profochatbot.bot.bot_id;
CREATE TABLE profochatbot.conversation (
    conversation_id integer NOT NULL,
    chat_id bigint,
    username text,
    course_id text,
    element_id text,
    element_type text,
    role text,
    json text,
    report text,
    score real,
    maxscore real,
    date_inserted timestamp without time zone DEFAULT now(),
    run_id integer,
    account_id integer NOT NULL
);
CREATE SEQUENCE profochatbot.conversation_conversation_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE profochatbot.conversation_conversation_id_seq OWNED BY profochatbot.conversation.conversation_id;
CREATE TABLE profochatbot.course (
    course_id text NOT NULL,
    bot_name text,
    creator_id bigint,
    date_created timestamp without time zone DEFAULT now(),
    yaml text,
    account_id integer NOT NULL,
    title text,
    description text,
    updated_at timestamp without time zone DEFAULT now(),
    metadata jsonb,
    is_active boolean DEFAULT true NOT NULL
);
CREATE TABLE profochatbot.course_deployment (
    deployment_id integer NOT NULL,
    course_id text NOT NULL,
    account_id integer NOT NULL,
    bot_id integer NOT NULL,
    environment text DEFAULT 'prod'::text NOT NULL,
    is_active boolean DEFAULT true NOT NULL,
    created_at timestamp without time zone DEFAULT now() NOT NULL,
    updated_at timestamp without time zone DEFAULT now() NOT NULL,
    settings jsonb
);
CREATE SEQUENCE profochatbot.course_deployment_deployment_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE profochatbot.course_deployment_deployment_id_seq OWNED BY profochatbot.course_deployment.deployment_id;
CREATE TABLE profochatbot.course_element (
    course_element_id bigint NOT NULL,
    element_id text,
    json text,
    element_type text,
    course_id text,
    bot_name text,
    account_id integer NOT NULL
);
CREATE SEQUENCE profochatbot.course_element_course_element_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE profochatbot.course_element_course_element_id_seq OWNED BY profochatbot.course_element.course_element_id;
CREATE TABLE profochatbot.courseparticipants (
    courseparticipant_id integer NOT NULL,
    course_id text NOT NULL,
    username text,
    account_id integer NOT NULL,
    chat_id bigint,
    added_at timestamp without time zone DEFAULT now(),
    added_by bigint,
    CONSTRAINT courseparticipants_person_check CHECK (((chat_id IS NOT NULL) OR (username IS NOT NULL)))
);
CREATE SEQUENCE profochatbot.courseparticipants_courseparticipant_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE profochatbot.courseparticipants_courseparticipant_id_seq OWNED BY profochatbot.courseparticipants.courseparticipant_id;
CREATE TABLE profochatbot.enrollment_token (
    token_id integer NOT NULL,
    deployment_id integer NOT NULL,
    token text NOT NULL,
    token_type text DEFAULT 'public'::text NOT NULL,
    max_uses integer,
    current_uses integer DEFAULT 0 NOT NULL,
    expires_at timestamp without time zone,
    created_at timestamp without time zone DEFAULT now() NOT NULL,
    created_by bigint,
    is_active boolean DEFAULT true NOT NULL,
    metadata jsonb
);
CREATE SEQUENCE profochatbot.enrollment_token_token_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE profochatbot.enrollment_token_token_id_seq OWNED BY profochatbot.enrollment_token.token_id;
CREATE TABLE profochatbot.gen_settings (
    id integer NOT NULL,
    bot_name text,
    s_key text NOT NULL,
    s_value text,
    account_id integer NOT NULL,
    bot_id integer,
    created_at timestamp without time zone DEFAULT now(),
    updated_at timestamp without time zone DEFAULT now(),
    CONSTRAINT gen_settings_bot_check CHECK (((bot_id IS NOT NULL) OR (bot_name IS NOT NULL)))
);
ALTER TABLE profochatbot.gen_settings ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME profochatbot.gen_settings_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE profochatbot.run (
    run_id integer NOT NULL,
    chat_id bigint,
    username text,
    botname text,
    course_id text,
    date_inserted timestamp without time zone DEFAULT now(),
    utm_source text,
    utm_campaign text,
    is_ended boolean,
    account_id integer NOT NULL,
    bot_id integer,
    deployment_id integer,
    token_id integer,
    is_active boolean DEFAULT true NOT NULL,
    ended_at timestamp without time zone,
    utm_medium text,
    utm_term text,
    utm_content text,
    metadata jsonb
);
CREATE SEQUENCE profochatbot.run_run_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE profochatbot.run_run_id_seq OWNED BY profochatbot.run.run_id;
CREATE TABLE profochatbot.waiting_element (
    waiting_element_id integer NOT NULL,
    chat_id bigint NOT NULL,
    waiting_till_date timestamp without time zone,
    is_waiting boolean,
    element_id text,
    course_id text,
    botname text,
    account_id integer NOT NULL,
    bot_id integer,
    run_id integer,
    created_at timestamp without time zone DEFAULT now()
);
CREATE SEQUENCE profochatbot.waiting_element_waiting_element_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE profochatbot.waiting_element_waiting_element_id_seq OWNED BY profochatbot.waiting_element.waiting_element_id;
ALTER TABLE ONLY profochatbot.account ALTER COLUMN account_id SET DEFAULT nextval('profochatbot.account_account_id_seq'::regclass);
ALTER TABLE ONLY profochatbot.account_member ALTER COLUMN account_member_id SET DEFAULT nextval('profochatbot.account_member_account_member_id_seq'::regclass);
ALTER TABLE ONLY profochatbot.bannedparticipants ALTER COLUMN bannedparticipant_id SET DEFAULT nextval('profochatbot.bannedparticipants_bannedparticipant_id_seq'::regclass);
ALTER TABLE ONLY profochatbot.bot ALTER COLUMN bot_id SET DEFAULT nextval('profochatbot.bot_bot_id_seq'::regclass);
ALTER TABLE ONLY profochatbot.conversation ALTER COLUMN conversation_id SET DEFAULT nextval('profochatbot.conversation_conversation_id_seq'::regclass);
ALTER TABLE ONLY profochatbot.course_deployment ALTER COLUMN deployment_id SET DEFAULT nextval('profochatbot.course_deployment_deployment_id_seq'::regclass);
ALTER TABLE ONLY profochatbot.course_element ALTER COLUMN course_element_id SET DEFAULT nextval('profochatbot.course_element_course_element_id_seq'::regclass);
ALTER TABLE ONLY profochatbot.courseparticipants ALTER COLUMN courseparticipant_id SET DEFAULT nextval('profochatbot.courseparticipants_courseparticipant_id_seq'::regclass);
ALTER TABLE ONLY profochatbot.enrollment_token ALTER COLUMN token_id SET DEFAULT nextval('profochatbot.enrollment_token_token_id_seq'::regclass);
ALTER TABLE ONLY profochatbot.run ALTER COLUMN run_id SET DEFAULT nextval('profochatbot.run_run_id_seq'::regclass);
ALTER TABLE ONLY profochatbot.waiting_element ALTER COLUMN waiting_element_id SET DEFAULT nextval('profochatbot.waiting_element_waiting_element_id_seq'::regclass);
ALTER TABLE ONLY profochatbot.account_member
    ADD CONSTRAINT account_member_account_id_telegram_user_id_key UNIQUE (account_id, telegram_user_id);
ALTER TABLE ONLY profochatbot.account_member
    ADD CONSTRAINT account_member_pkey PRIMARY KEY (account_member_id);
ALTER TABLE ONLY profochatbot.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (account_id);
ALTER TABLE ONLY profochatbot.account
    ADD CONSTRAINT account_slug_key UNIQUE (slug);
ALTER TABLE ONLY profochatbot.bannedparticipants
    ADD CONSTRAINT bannedparticipants_pkey PRIMARY KEY (bannedparticipant_id);
ALTER TABLE ONLY profochatbot.bot
    ADD CONSTRAINT bot_account_id_bot_name_key UNIQUE (account_id, bot_name);
ALTER TABLE ONLY profochatbot.bot
    ADD CONSTRAINT bot_bot_token_key UNIQUE (bot_token);
ALTER TABLE ONLY profochatbot.bot
    ADD CONSTRAINT bot_pkey PRIMARY KEY (bot_id);
ALTER TABLE ONLY profochatbot.conversation
    ADD CONSTRAINT conversation_pkey PRIMARY KEY (conversation_id);
ALTER TABLE ONLY profochatbot.course
    ADD CONSTRAINT course_course_id_account_id_key UNIQUE (course_id, account_id);
ALTER TABLE ONLY profochatbot.course_deployment
    ADD CONSTRAINT course_deployment_bot_id_course_id_account_id_environment_key UNIQUE (bot_id, course_id, account_id, environment);
ALTER TABLE ONLY profochatbot.course_deployment
    ADD CONSTRAINT course_deployment_pkey PRIMARY KEY (deployment_id);
ALTER TABLE ONLY profochatbot.course_element
    ADD CONSTRAINT course_element_pkey PRIMARY KEY (course_element_id);
ALTER TABLE ONLY profochatbot.course
    ADD CONSTRAINT course_pkey PRIMARY KEY (account_id, course_id);
ALTER TABLE ONLY profochatbot.courseparticipants
    ADD CONSTRAINT courseparticipants_pkey PRIMARY KEY (courseparticipant_id);
ALTER TABLE ONLY profochatbot.enrollment_token
    ADD CONSTRAINT enrollment_token_pkey PRIMARY KEY (token_id);
ALTER TABLE ONLY profochatbot.enrollment_token
    ADD CONSTRAINT enrollment_token_token_key UNIQUE (token);
ALTER TABLE ONLY profochatbot.gen_settings
    ADD CONSTRAINT gen_settings_pkey PRIMARY KEY (id);
ALTER TABLE ONLY profochatbot.run
    ADD CONSTRAINT run_pkey PRIMARY KEY (run_id);
ALTER TABLE ONLY profochatbot.waiting_element
    ADD CONSTRAINT waiting_element_pkey PRIMARY KEY (waiting_element_id);
CREATE UNIQUE INDEX bannedparticipants_unique ON profochatbot.bannedparticipants USING btree (bot_id, chat_id, excluded);
CREATE UNIQUE INDEX courseparticipants_unique ON profochatbot.courseparticipants USING btree (course_id, account_id, COALESCE(chat_id, (0)::bigint), COALESCE(username, ''::text));
CREATE UNIQUE INDEX gen_settings_unique ON profochatbot.gen_settings USING btree (bot_id, s_key);
CREATE INDEX idx_account_active ON profochatbot.account USING btree (is_active);
CREATE INDEX idx_account_member_account ON profochatbot.account_member USING btree (account_id);
CREATE INDEX idx_account_member_active ON profochatbot.account_member USING btree (account_id, is_active);
CREATE INDEX idx_account_member_telegram ON profochatbot.account_member USING btree (telegram_user_id);
CREATE INDEX idx_banned_account ON profochatbot.bannedparticipants USING btree (account_id);
CREATE INDEX idx_banned_active ON profochatbot.bannedparticipants USING btree (bot_id, excluded) WHERE (excluded = 0);
CREATE INDEX idx_banned_bot ON profochatbot.bannedparticipants USING btree (bot_id);
CREATE INDEX idx_bannedparticipants_3 ON profochatbot.bannedparticipants USING btree (botname, chat_id, excluded);
CREATE INDEX idx_bot_account ON profochatbot.bot USING btree (account_id);
CREATE INDEX idx_bot_active ON profochatbot.bot USING btree (account_id, is_active);
CREATE INDEX idx_bot_name ON profochatbot.bot USING btree (bot_name);
CREATE INDEX idx_conversation_account ON profochatbot.conversation USING btree (account_id);
CREATE INDEX idx_conversation_chat ON profochatbot.conversation USING btree (chat_id);
CREATE INDEX idx_conversation_course ON profochatbot.conversation USING btree (course_id, account_id);
CREATE INDEX idx_conversation_date ON profochatbot.conversation USING btree (date_inserted DESC);
CREATE INDEX idx_conversation_element ON profochatbot.conversation USING btree (course_id, account_id, element_id);
CREATE INDEX idx_conversation_role ON profochatbot.conversation USING btree (run_id, role);
CREATE INDEX idx_conversation_run ON profochatbot.conversation USING btree (run_id);
CREATE INDEX idx_course_account ON profochatbot.course USING btree (account_id);
CREATE INDEX idx_course_active ON profochatbot.course USING btree (account_id, is_active);
CREATE INDEX idx_course_courseid_botname ON profochatbot.course USING btree (course_id, bot_name);
CREATE INDEX idx_course_created ON profochatbot.course USING btree (account_id, date_created DESC);
CREATE INDEX idx_course_element_course ON profochatbot.course_element USING btree (course_id, account_id);
CREATE INDEX idx_course_element_order ON profochatbot.course_element USING btree (course_id, account_id, course_element_id);
CREATE INDEX idx_course_element_type ON profochatbot.course_element USING btree (course_id, account_id, element_type);
CREATE INDEX idx_courseparticipants_2 ON profochatbot.courseparticipants USING btree (course_id, username);
CREATE INDEX idx_courseparticipants_account ON profochatbot.courseparticipants USING btree (account_id);
CREATE INDEX idx_courseparticipants_chat ON profochatbot.courseparticipants USING btree (chat_id);
CREATE INDEX idx_courseparticipants_course ON profochatbot.courseparticipants USING btree (course_id, account_id);
CREATE INDEX idx_courseparticipants_username ON profochatbot.courseparticipants USING btree (username);
CREATE INDEX idx_deployment_active ON profochatbot.course_deployment USING btree (bot_id, is_active);
CREATE INDEX idx_deployment_bot ON profochatbot.course_deployment USING btree (bot_id);
CREATE INDEX idx_deployment_course ON profochatbot.course_deployment USING btree (course_id, account_id);
CREATE INDEX idx_gen_settings_account ON profochatbot.gen_settings USING btree (account_id);
CREATE INDEX idx_gen_settings_bot ON profochatbot.gen_settings USING btree (bot_id);
CREATE INDEX idx_gen_settings_key ON profochatbot.gen_settings USING btree (account_id, bot_id, s_key);
CREATE INDEX idx_run_account ON profochatbot.run USING btree (account_id);
CREATE INDEX idx_run_active ON profochatbot.run USING btree (bot_id, is_active);
CREATE INDEX idx_run_bot ON profochatbot.run USING btree (bot_id);
CREATE INDEX idx_run_chat ON profochatbot.run USING btree (bot_id, chat_id);
CREATE INDEX idx_run_course ON profochatbot.run USING btree (course_id, account_id);
CREATE INDEX idx_run_deployment ON profochatbot.run USING btree (deployment_id);
CREATE INDEX idx_run_ended ON profochatbot.run USING btree (is_ended, ended_at);
CREATE INDEX idx_token_active ON profochatbot.enrollment_token USING btree (deployment_id, is_active);
CREATE INDEX idx_token_deployment ON profochatbot.enrollment_token USING btree (deployment_id);
CREATE INDEX idx_token_expires ON profochatbot.enrollment_token USING btree (expires_at) WHERE (expires_at IS NOT NULL);
CREATE INDEX idx_waiting_account ON profochatbot.waiting_element USING btree (account_id);
CREATE INDEX idx_waiting_active ON profochatbot.waiting_element USING btree (is_waiting, waiting_till_date) WHERE (is_waiting = true);
CREATE INDEX idx_waiting_bot ON profochatbot.waiting_element USING btree (bot_id);
CREATE INDEX idx_waiting_date ON profochatbot.waiting_element USING btree (waiting_till_date);
CREATE INDEX idx_waiting_run ON profochatbot.waiting_element USING btree (run_id);
CREATE UNIQUE INDEX run_one_active_per_bot_chat ON profochatbot.run USING btree (bot_id, chat_id) WHERE is_active;
ALTER TABLE ONLY profochatbot.account_member
    ADD CONSTRAINT account_member_account_id_fkey FOREIGN KEY (account_id) REFERENCES profochatbot.account(account_id) ON DELETE CASCADE;
ALTER TABLE ONLY profochatbot.bannedparticipants
    ADD CONSTRAINT bannedparticipants_account_id_fkey FOREIGN KEY (account_id) REFERENCES profochatbot.account(account_id) ON DELETE CASCADE;
ALTER TABLE ONLY profochatbot.bannedparticipants
    ADD CONSTRAINT bannedparticipants_bot_id_fkey FOREIGN KEY (bot_id) REFERENCES profochatbot.bot(bot_id) ON DELETE CASCADE;
ALTER TABLE ONLY profochatbot.bot
    ADD CONSTRAINT bot_account_id_fkey FOREIGN KEY (account_id) REFERENCES profochatbot.account(account_id) ON DELETE CASCADE;
ALTER TABLE ONLY profochatbot.conversation
    ADD CONSTRAINT conversation_account_id_fkey FOREIGN KEY (account_id) REFERENCES profochatbot.account(account_id) ON DELETE CASCADE;
ALTER TABLE ONLY profochatbot.conversation
    ADD CONSTRAINT conversation_run_id_fkey FOREIGN KEY (run_id) REFERENCES profochatbot.run(run_id) ON DELETE CASCADE;
ALTER TABLE ONLY profochatbot.course
    ADD CONSTRAINT course_account_id_fkey FOREIGN KEY (account_id) REFERENCES profochatbot.account(account_id) ON DELETE CASCADE;
ALTER TABLE ONLY profochatbot.course_deployment
    ADD CONSTRAINT course_deployment_bot_fkey FOREIGN KEY (bot_id) REFERENCES profochatbot.bot(bot_id) ON DELETE CASCADE;
ALTER TABLE ONLY profochatbot.course_deployment
    ADD CONSTRAINT course_deployment_course_fkey FOREIGN KEY (course_id, account_id) REFERENCES profochatbot.course(course_id, account_id) ON DELETE CASCADE;
ALTER TABLE ONLY profochatbot.course_element
    ADD CONSTRAINT course_element_course_fkey FOREIGN KEY (course_id, account_id) REFERENCES profochatbot.course(course_id, account_id) ON DELETE CASCADE;
ALTER TABLE ONLY profochatbot.courseparticipants
    ADD CONSTRAINT courseparticipants_account_id_fkey FOREIGN KEY (account_id) REFERENCES profochatbot.account(account_id) ON DELETE CASCADE;
ALTER TABLE ONLY profochatbot.courseparticipants
    ADD CONSTRAINT courseparticipants_course_fkey FOREIGN KEY (course_id, account_id) REFERENCES profochatbot.course(course_id, account_id) ON DELETE CASCADE;
ALTER TABLE ONLY profochatbot.enrollment_token
    ADD CONSTRAINT enrollment_token_deployment_fkey FOREIGN KEY (deployment_id) REFERENCES profochatbot.course_deployment(deployment_id) ON DELETE CASCADE;
ALTER TABLE ONLY profochatbot.gen_settings
    ADD CONSTRAINT gen_settings_account_id_fkey FOREIGN KEY (account_id) REFERENCES profochatbot.account(account_id) ON DELETE CASCADE;
ALTER TABLE ONLY profochatbot.gen_settings
    ADD CONSTRAINT gen_settings_bot_id_fkey FOREIGN KEY (bot_id) REFERENCES profochatbot.bot(bot_id) ON DELETE CASCADE;
ALTER TABLE ONLY profochatbot.run
    ADD CONSTRAINT run_account_id_fkey FOREIGN KEY (account_id) REFERENCES profochatbot.account(account_id) ON DELETE CASCADE;
ALTER TABLE ONLY profochatbot.run
    ADD CONSTRAINT run_bot_id_fkey FOREIGN KEY (bot_id) REFERENCES profochatbot.bot(bot_id) ON DELETE CASCADE;
ALTER TABLE ONLY profochatbot.run
    ADD CONSTRAINT run_deployment_id_fkey FOREIGN KEY (deployment_id) REFERENCES profochatbot.course_deployment(deployment_id) ON DELETE RESTRICT;
ALTER TABLE ONLY profochatbot.run
    ADD CONSTRAINT run_token_id_fkey FOREIGN KEY (token_id) REFERENCES profochatbot.enrollment_token(token_id);
ALTER TABLE ONLY profochatbot.waiting_element
    ADD CONSTRAINT waiting_element_account_id_fkey FOREIGN KEY (account_id) REFERENCES profochatbot.account(account_id) ON DELETE CASCADE;
ALTER TABLE ONLY profochatbot.waiting_element
    ADD CONSTRAINT waiting_element_bot_id_fkey FOREIGN KEY (bot_id) REFERENCES profochatbot.bot(bot_id) ON DELETE CASCADE;
ALTER TABLE ONLY profochatbot.waiting_element
    ADD CONSTRAINT waiting_element_run_id_fkey FOREIGN KEY (run_id) REFERENCES profochatbot.run(run_id) ON DELETE CASCADE;
