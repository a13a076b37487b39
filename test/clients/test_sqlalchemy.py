#!/usr/bin/python3
"""SQLAlchemy's ORM and inspector against sherd: test_sqlalchemy.py HOST PORT."""
import datetime
import decimal
import sys

from sqlalchemy import (Boolean, CheckConstraint, Column, Date, DateTime, Float, ForeignKey, Index, Integer, LargeBinary, MetaData,
                        Numeric, String, Table, Text, UniqueConstraint, create_engine, func, inspect, select, text)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, declarative_base, joinedload, relationship, selectinload

Base = declarative_base()


class Author(Base):
    __tablename__ = "sa_author"
    id = Column(Integer, primary_key=True)
    name = Column(String(50), nullable=False, unique=True)
    born = Column(Date)
    books = relationship("Book", back_populates="author", cascade="all, delete-orphan", order_by="Book.id")


class Book(Base):
    __tablename__ = "sa_book"
    id = Column(Integer, primary_key=True)
    author_id = Column(Integer, ForeignKey("sa_author.id"), nullable=False)
    title = Column(Text, nullable=False)
    price = Column(Numeric(8, 2), server_default="9.99")
    weight = Column(Float)
    sold = Column(Boolean, default=False)
    added = Column(DateTime(timezone=True), server_default=func.now())
    cover = Column(LargeBinary)
    author = relationship("Author", back_populates="books")
    __table_args__ = (CheckConstraint("price >= 0", name="sa_price"), UniqueConstraint("author_id", "title", name="sa_title"),
                      Index("sa_by_price", "price"))


def schema(engine):
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    Base.metadata.create_all(engine)  # sees that all is there


def work(engine):
    with Session(engine) as s:
        a = Author(name="Ada", born=datetime.date(1815, 12, 10))
        a.books = [Book(title=f"Notes {i}", price=decimal.Decimal("1.50") * i, weight=0.5, cover=b"\0\xff") for i in range(20)]
        s.add_all([a, Author(name="Bob")])
        s.commit()
        assert a.id is not None and a.books[3].added is not None
    with Session(engine) as s:
        a = s.execute(select(Author).options(selectinload(Author.books)).filter_by(name="Ada")).scalar_one()
        assert len(a.books) == 20 and a.books[2].price == decimal.Decimal("3.00") and a.books[0].cover == b"\0\xff"
        a.books[0].title = "Changed"
        del a.books[19]
        s.commit()
        rows = s.execute(select(Author.name, func.count(Book.id), func.sum(Book.price)).outerjoin(Book).group_by(Author.name)
                         .order_by(Author.name)).all()
        assert [(r[0], r[1]) for r in rows] == [("Ada", 19), ("Bob", 0)], rows
        books = s.execute(select(Book).options(joinedload(Book.author)).where(Book.price > 10, Book.title.like("Notes%"))
                          .order_by(Book.price.desc()).limit(3).offset(1)).scalars().all()
        assert [b.title for b in books] == ["Notes 17", "Notes 16", "Notes 15"]
        assert books[0].author.name == "Ada"
        assert s.execute(select(func.count()).select_from(Book).where(Book.author_id.in_(select(Author.id)))).scalar() == 19
    with Session(engine) as s:
        s.add(Author(name="Ada"))
        try:
            s.commit()
            raise AssertionError("a duplicate is taken")
        except IntegrityError as e:
            assert e.orig.pgcode == "23505" and e.orig.diag.constraint_name == "sa_author_name_key", e
            s.rollback()
        with s.begin_nested():
            s.add(Author(name="Eve"))
        nested = s.begin_nested()
        s.add(Author(name="Gone"))
        s.flush()
        nested.rollback()
        s.commit()
        assert s.execute(select(Author.name).order_by(Author.id)).scalars().all() == ["Ada", "Bob", "Eve"]
        s.delete(s.execute(select(Author).filter_by(name="Ada")).scalar_one())
        s.commit()
        assert s.execute(select(func.count(Book.id))).scalar() == 0


def reflection(engine):
    i = inspect(engine)
    assert {"sa_author", "sa_book"} <= set(i.get_table_names())
    columns = {c["name"]: c for c in i.get_columns("sa_book")}
    assert str(columns["price"]["type"]) == "NUMERIC(8, 2)" and columns["price"]["default"] == "9.99", columns["price"]
    assert not columns["title"]["nullable"] and str(columns["added"]["type"]) == "TIMESTAMP", columns["added"]
    assert columns["id"]["autoincrement"]
    assert i.get_pk_constraint("sa_book") == {"constrained_columns": ["id"], "name": "sa_book_pkey"}, i.get_pk_constraint("sa_book")
    fk = i.get_foreign_keys("sa_book")[0]
    assert fk["constrained_columns"] == ["author_id"] and fk["referred_table"] == "sa_author"
    indexes = {x["name"]: x for x in i.get_indexes("sa_book")}
    assert indexes["sa_by_price"]["column_names"] == ["price"] and not indexes["sa_by_price"]["unique"], indexes
    assert i.get_unique_constraints("sa_book")[0]["column_names"] == ["author_id", "title"]
    assert i.get_check_constraints("sa_book")[0]["name"] == "sa_price"
    t = Table("sa_book", MetaData(), autoload_with=engine)
    assert [c.name for c in t.columns][:3] == ["id", "author_id", "title"]
    assert i.get_schema_names() and i.get_view_names() is not None


def isolation(engine):
    with engine.connect().execution_options(isolation_level="SERIALIZABLE") as c:
        assert c.execute(text("SHOW transaction_isolation")).scalar() == "serializable"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
        c.execute(text("INSERT INTO sa_author (name) VALUES (:n)"), [{"n": f"many {k}"} for k in range(50)])
    with engine.connect() as c:
        c = c.execution_options(stream_results=True)
        try:
            rows = c.execute(text("SELECT name FROM sa_author")).fetchall()
            assert len(rows) == 52, len(rows)
        except Exception as e:  # named cursors: 0A000 with a hint until they are there
            assert getattr(getattr(e, "orig", None), "pgcode", None) == "0A000", e


def main():
    engine = create_engine(f"postgresql+psycopg2://sherd@{sys.argv[1]}:{sys.argv[2]}/sherd", future=True)
    for step in (schema, work, reflection, isolation):
        step(engine)
        print("ok", step.__name__)
    return 0


if __name__ == "__main__":
    sys.exit(main())
