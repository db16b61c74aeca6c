-- An error fails the migration, and so does a first column that is false.
SELECT to_regclass('tutor_ratings') IS NOT NULL;
SELECT has_column_privilege('lessons', 'rating', 'SELECT');
