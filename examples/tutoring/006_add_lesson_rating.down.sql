DROP VIEW tutor_ratings;

ALTER TABLE lessons DROP COLUMN rating;
