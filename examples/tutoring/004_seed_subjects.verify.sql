SELECT count(*) = 6
FROM subjects
WHERE code IN ('MATH', 'PHYS', 'CHEM', 'ENGL', 'FRAN', 'HIST');
