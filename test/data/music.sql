-- A small music shop, for when no larger data set is at hand.
DROP DATABASE IF EXISTS chinook;
CREATE DATABASE chinook;
\c chinook
CREATE TABLE artist (artist_id INT NOT NULL PRIMARY KEY, name VARCHAR(120));
CREATE TABLE album (album_id INT NOT NULL PRIMARY KEY, title VARCHAR(160) NOT NULL, artist_id INT NOT NULL REFERENCES artist);
CREATE TABLE track (track_id INT NOT NULL PRIMARY KEY, name VARCHAR(200) NOT NULL, album_id INT REFERENCES album,
                    milliseconds INT NOT NULL, unit_price NUMERIC(10,2) NOT NULL);
CREATE INDEX track_album_id_idx ON track (album_id);
INSERT INTO artist VALUES (1, 'Nina Simone'), (2, 'John Coltrane'), (3, 'Miles Davis');
INSERT INTO album VALUES (1, 'Pastel Blues', 1), (2, 'A Love Supreme', 2), (3, 'Blue Train', 2), (4, 'Kind of Blue', 3);
INSERT INTO track VALUES (1, 'Sinnerman', 1, 622000, 0.99), (2, 'Acknowledgement', 2, 463000, 0.99),
    (3, 'Blue Train', 3, 643000, 0.99), (4, 'So What', 4, 562000, 0.99), (5, 'Blue in Green', 4, 337000, 0.99),
    (6, 'All Blues', 4, 693000, 0.99);
