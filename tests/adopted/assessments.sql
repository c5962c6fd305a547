-- As in a Supabase project: ids by its extension, times by `timezone('utc', now())`, constraints as the server names them.
CREATE FUNCTION uuid_generate_v4() RETURNS uuid LANGUAGE sql AS 'SELECT gen_random_uuid()';
CREATE TABLE users (
    id UUID PRIMARY KEY DEFAULT uuid_generate_v4(),
    email VARCHAR(255) NOT NULL UNIQUE,
    full_name VARCHAR(255),
    profile_picture_url TEXT,
    created_at TIMESTAMP DEFAULT timezone('utc'::text, now()),
    last_login TIMESTAMP
);
CREATE TABLE roles (
    id UUID PRIMARY KEY DEFAULT uuid_generate_v4(),
    name VARCHAR(255) NOT NULL,
    description TEXT,
    category VARCHAR(100),
    level VARCHAR(50),
    created_at TIMESTAMP DEFAULT timezone('utc'::text, now()),
    updated_at TIMESTAMP DEFAULT timezone('utc'::text, now())
);
CREATE TABLE user_roles (
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role_id UUID NOT NULL REFERENCES roles (id) ON DELETE CASCADE, PRIMARY KEY (user_id, role_id)
);
CREATE TABLE competencies (
    id UUID PRIMARY KEY DEFAULT uuid_generate_v4(),
    role_id UUID REFERENCES roles (id) ON DELETE CASCADE,
    name VARCHAR(255) NOT NULL,
    description TEXT,
    category VARCHAR(100),
    importance_weight INTEGER CHECK (importance_weight BETWEEN 1 AND 5),
    order_index INTEGER,
    created_at TIMESTAMP DEFAULT timezone('utc'::text, now())
);
CREATE TABLE directions (
    id UUID PRIMARY KEY DEFAULT uuid_generate_v4(),
    name VARCHAR(255) NOT NULL UNIQUE,
    description TEXT,
    technologies TEXT[],
    display_name VARCHAR(255),
    order_index INTEGER,
    created_at TIMESTAMP DEFAULT timezone('utc'::text, now())
);
CREATE TABLE technologies (
    id UUID PRIMARY KEY DEFAULT uuid_generate_v4(),
    name VARCHAR(255) NOT NULL UNIQUE,
    description TEXT,
    display_name VARCHAR(255),
    order_index INTEGER,
    created_at TIMESTAMP DEFAULT timezone('utc'::text, now())
);
CREATE TABLE direction_technologies (
    direction_id UUID NOT NULL REFERENCES directions (id) ON DELETE CASCADE,
    technology_id UUID NOT NULL REFERENCES technologies (id) ON DELETE CASCADE,
    order_index INTEGER, PRIMARY KEY (direction_id, technology_id)
);
CREATE TABLE direction_competencies (
    direction_id UUID NOT NULL REFERENCES directions (id) ON DELETE CASCADE,
    competency_id UUID NOT NULL REFERENCES competencies (id) ON DELETE CASCADE,
    order_index INTEGER, PRIMARY KEY (direction_id, competency_id)
);
CREATE TABLE technology_competencies (
    technology_id UUID NOT NULL REFERENCES technologies (id) ON DELETE CASCADE,
    competency_id UUID NOT NULL REFERENCES competencies (id) ON DELETE CASCADE,
    order_index INTEGER, PRIMARY KEY (technology_id, competency_id)
);
CREATE TABLE assessments (
    id UUID PRIMARY KEY DEFAULT uuid_generate_v4(),
    user_id UUID REFERENCES users (id) ON DELETE CASCADE,
    role_id UUID REFERENCES roles (id),
    direction_id UUID REFERENCES directions (id),
    technology_id UUID REFERENCES technologies (id),
    status VARCHAR(20) DEFAULT 'in_progress' CHECK (status IN ('in_progress', 'completed', 'abandoned')),
    overall_score DOUBLE PRECISION,
    attempt_number INTEGER NOT NULL DEFAULT 1,
    started_at TIMESTAMP DEFAULT timezone('utc'::text, now()),
    completed_at TIMESTAMP
);
CREATE TABLE competency_assessments (
    id UUID PRIMARY KEY DEFAULT uuid_generate_v4(),
    assessment_id UUID REFERENCES assessments (id) ON DELETE CASCADE,
    competency_id UUID REFERENCES competencies (id),
    ai_assessed_score INTEGER CHECK (ai_assessed_score BETWEEN 1 AND 5),
    confidence_level VARCHAR(20) CHECK (confidence_level IN ('low', 'medium', 'high')),
    gap_analysis JSONB,
    test_session_data JSONB,
    completed_at TIMESTAMP
);
CREATE TABLE questions (
    id UUID PRIMARY KEY DEFAULT uuid_generate_v4(),
    competency_id UUID REFERENCES competencies (id) ON DELETE CASCADE,
    question_text TEXT NOT NULL,
    difficulty INTEGER NOT NULL CHECK (difficulty BETWEEN 1 AND 5),
    question_number INTEGER CHECK (question_number BETWEEN 1 AND 5),
    expected_key_points JSONB,
    estimated_answer_time VARCHAR(50),
    used_count INTEGER DEFAULT 0,
    created_at TIMESTAMP DEFAULT timezone('utc'::text, now())
);
CREATE TABLE question_history (
    id UUID PRIMARY KEY DEFAULT uuid_generate_v4(),
    competency_assessment_id UUID REFERENCES competency_assessments (id) ON DELETE CASCADE,
    question_id UUID REFERENCES questions (id) ON DELETE SET NULL,
    question_text TEXT NOT NULL,
    question_type VARCHAR(50),
    difficulty_level INTEGER CHECK (difficulty_level BETWEEN 1 AND 5),
    user_answer_transcript TEXT,
    audio_duration_seconds INTEGER,
    transcription_confidence DOUBLE PRECISION,
    is_correct BOOLEAN,
    ai_evaluation JSONB,
    time_spent_seconds INTEGER,
    asked_at TIMESTAMP DEFAULT timezone('utc'::text, now()),
    answered_at TIMESTAMP
);
CREATE INDEX idx_question_history_competency_assessment_id ON question_history (competency_assessment_id);
CREATE INDEX idx_question_history_question_id ON question_history (question_id);
INSERT INTO question_history (question_text, user_answer_transcript, ai_evaluation)
SELECT 'text', 'said', '{"score": 4, "isCorrect": true, "understandingDepth": "deep", "feedback": "", "knowledgeGaps": []}'
FROM generate_series(1, 20);
