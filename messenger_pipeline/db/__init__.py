"""PostgreSQL: one typed function per SQL function, and nothing else knows psycopg."""
