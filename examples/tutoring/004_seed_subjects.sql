INSERT INTO subjects (code, name) VALUES
    ('MATH', 'Mathematics'),
    ('PHYS', 'Physics'),
    ('CHEM', 'Chemistry'),
    ('ENGL', 'English'),
    ('FRAN', 'Français'),
    ('HIST', 'History')
ON CONFLICT (code) DO NOTHING;
