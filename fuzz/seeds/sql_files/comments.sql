/* a /* nested; */ comment */ INSERT INTO a VALUES (E'\'; ', U&'\0061', "b;c"); -- end;
