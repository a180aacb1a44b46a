"""Following a log file while it grows, is rotated, emptied, or is not there yet."""

from meshctl.cli.log import read


class Script:
    """What happens to the file whenever the reader has nothing to do; ends when done."""

    def __init__(self, *steps):
        self.steps = list(steps)

    def __call__(self, _seconds):
        if not self.steps:
            raise EOFError
        self.steps.pop(0)()


def followed(path, last, *steps):
    """The lines that were read until nothing happened any more."""
    lines = []
    try:
        for line in read(path, last, follow=True, sleep=Script(*steps)):
            lines.append(line)  # noqa: PERF402 - the reader ends by an exception
    except EOFError:
        return lines


def test_the_last_lines(tmp_path):
    """As many as asked for, whatever their bytes."""
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\r\n\xff three\nfour")
    assert list(read(path, 2, follow=False)) == ["\\xff three", "four"]
    assert list(read(path, 9, follow=False)) == ["one", "two", "\\xff three", "four"]
    assert list(read(path, 0, follow=False)) == []
    assert list(read(tmp_path / "none", 9, follow=False)) == []


def test_growth(tmp_path):
    """A line is shown when it is whole."""
    path = tmp_path / "log"
    path.write_text("old\n")
    with path.open("a", buffering=1) as file:
        write = lambda text: lambda: (file.write(text), file.flush())  # noqa: E731
        lines = followed(path, 1, write("a\nb"), write("c"), write("d\ne\n"))
    assert lines == ["old", "a", "bcd", "e"]


def test_another_file_in_its_place(tmp_path):
    """After a rotation the new file is read from its beginning."""
    path = tmp_path / "log"
    path.write_text("old\n")

    def rotate():
        path.rename(tmp_path / "log.1")

    assert followed(path, 1, rotate, lambda: path.write_text("new\n")) == ["old", "new"]


def test_an_emptied_file(tmp_path):
    """Truncation is a new beginning."""
    path = tmp_path / "log"
    path.write_text("old and long\n")
    assert followed(path, 1, lambda: path.write_text("x\n")) == ["old and long", "x"]


def test_no_file_yet(tmp_path):
    """It is waited for."""
    path = tmp_path / "log"
    assert followed(path, 5, lambda: None, lambda: path.write_text("first\n")) == ["first"]
