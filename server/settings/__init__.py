"""Reading settings: `fields` knows them by their types, `load` gathers them, `checks` says what a value must be,
`document` writes them down."""
