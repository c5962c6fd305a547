INSERT INTO assessments.question_history (id, question_text, is_correct, asked_at, user_answer_transcript, ai_evaluation)
SELECT md5(i::text)::uuid, 'question ' || i, CASE WHEN i % 3 = 0 THEN i % 2 = 0 END, '2026-01-01', repeat('spoken ', 20),
       CASE i % 10
         WHEN 0 THEN NULL
         WHEN 1 THEN '{"score": 4.5, "isCorrect": "yes", "feedback": 7}'
         WHEN 2 THEN '[1, 2]'
         WHEN 3 THEN '{"score": "5", "understandingDepth": "Deep", "knowledgeGaps": ["a", 1]}'
         ELSE jsonb_build_object('score', 1 + i % 5, 'isCorrect', i % 2 = 0, 'understandingDepth', 'deep',
                                 'feedback', 'feedback ' || i, 'knowledgeGaps', '["gap"]'::jsonb)
       END
FROM generate_series(1, 6000) AS i;
