-- One statement after the other, in place of this one.
DO $$ BEGIN RAISE EXCEPTION '`up` of `m20251120_184902_add_tags` is not written yet'; END $$;
