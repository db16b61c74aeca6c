ALTER TABLE lessons
    ADD COLUMN rating smallint,
    ADD CONSTRAINT lessons_rating_check CHECK (rating BETWEEN 1 AND 5);

CREATE VIEW tutor_ratings AS
SELECT tutor_id, count(*) AS lessons, round(avg(rating), 2) AS rating
FROM lessons
WHERE rating IS NOT NULL
GROUP BY tutor_id;
