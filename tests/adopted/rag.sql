-- As its document writes it: texts without a limit, and the trigger's function shared with other teams.
CREATE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.updated_at = CURRENT_TIMESTAMP; RETURN NEW; END';
CREATE TABLE user_knowledge (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(), user_id VARCHAR UNIQUE NOT NULL, name VARCHAR NOT NULL,
    personality TEXT, background TEXT, expertise JSONB, communication_style TEXT, preferences JSONB, file_path VARCHAR,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE INDEX ix_user_knowledge_user_id ON user_knowledge (user_id);
CREATE TRIGGER update_user_knowledge_updated_at BEFORE UPDATE ON user_knowledge
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
CREATE INDEX my_own ON user_knowledge (name);
INSERT INTO user_knowledge (user_id, name) VALUES ('1', 'one');
