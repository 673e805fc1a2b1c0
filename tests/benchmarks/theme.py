"""The colours of the chart in a dark page, which the SVG itself brings along."""

#: What cannot be read on a dark page, and what takes its place there. The rest suits both.
DARK = {
    "#000000": "#cfd3d7",
    "#333333": "#e2e2e2",
    "#777777": "#a6a6a6",
    "#1b7f3b": "#a8f0c6",
    "#1f5fa8": "#6fb0f5",
    "#b3412e": "#f28b78",
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
