"""A table as text."""


def number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def row(*cells: str) -> str:
    return "  " + "  ".join(f"{cell:<12}" for cell in cells).rstrip()
