DROP TABLE tutor_subjects;
DROP TABLE subjects;
