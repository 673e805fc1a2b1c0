"""The colours of the charts, for light and dark pages. Each SVG brings both along."""

#: The charts, by the names of their files: ``performance-hand-off.svg``.
CHARTS = ["hand-off", "save", "drained", "engines", "load", "series"]

FILES, DATABASE, DRAFT = "#1b7f3b", "#1f5fa8", "#7a3fa0"
BY_HAND, MESSAGE, NEUTRAL, PLAIN = "#b3412e", "#b06a00", "#777777", "#333333"

#: What cannot be read on a dark page, and what takes its place there.
DARK = {
    "#000000": "#cfd3d7",
    PLAIN: "#e2e2e2",
    NEUTRAL: "#a6a6a6",
    FILES: "#a8f0c6",
    DATABASE: "#6fb0f5",
    DRAFT: "#cf9df2",
    BY_HAND: "#f28b78",
    MESSAGE: "#e8b04a",
}


def follow_theme(svg):
    """Return an SVG of matplotlib's without a background, and with a style for dark pages."""
    rules = ["text { fill: #cfd3d7 }"]
    for colour, dark in DARK.items():
        # Matplotlib writes its colours into style attributes.
        for name in ("fill", "stroke"):
            rules.append(f'[style*="{name}: {colour}"] {{ {name}: {dark} !important }}')
    style = "\n".join(
        [
            "<style>",
            "  @media (prefers-color-scheme: dark) {",
            *(f"   {rule}" for rule in rules),
            "  }",
            "  </style>",
        ]
    )
    return svg.replace("fill: #ffffff", "fill: none").replace("<defs>", f"{style}\n <defs>", 1)
