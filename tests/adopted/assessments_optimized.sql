ALTER TABLE question_history
    ADD COLUMN IF NOT EXISTS score INTEGER CHECK (score >= 1 AND score <= 5),
    ADD COLUMN IF NOT EXISTS understanding_depth VARCHAR(20) CHECK (understanding_depth IN ('shallow', 'medium', 'deep')),
    ADD COLUMN IF NOT EXISTS feedback TEXT,
    ADD COLUMN IF NOT EXISTS knowledge_gaps TEXT[];
UPDATE question_history SET
    score = (ai_evaluation ->> 'score')::integer, understanding_depth = ai_evaluation ->> 'understandingDepth',
    feedback = ai_evaluation ->> 'feedback',
    knowledge_gaps = ARRAY(SELECT jsonb_array_elements_text(ai_evaluation -> 'knowledgeGaps'))
WHERE ai_evaluation IS NOT NULL;
CREATE INDEX idx_question_history_score ON question_history (score) WHERE score IS NOT NULL;
CREATE INDEX idx_question_history_is_correct ON question_history (is_correct) WHERE is_correct IS NOT NULL;
