//! `Scorer` and what it gives.
use crate::{
    error::Error,
    score::{
        Explanation, HEADS, LEVELS, Score, Scorer, Span,
        normalise::{Guise, Kind, Mapped, Normaliser},
    },
};
use pyo3::{
    prelude::*,
    types::{PyDict, PyTuple},
};

/// Texts of more bytes than this give other threads the interpreter meanwhile; for shorter ones, handing it over costs
/// more than the work.
pub(super) const DETACHED_TEXT: usize = 2048;

#[pyclass(module = "chiron._core", frozen, name = "Scorer")]
pub(crate) struct PyScorer {
    pub(super) scorer: Scorer,
}

#[pymethods]
impl PyScorer {
    #[new]
    fn new(py: Python<'_>, model: &[u8], terms: &[u8], allow: &[u8]) -> Result<Self, Error> {
        Ok(Self { scorer: py.detach(|| Scorer::new(model, terms, allow))? })
    }

    fn follow(&self, other: &Self) {
        self.scorer.follow(&other.scorer);
    }

    fn score(&self, py: Python<'_>, text: &str) -> PyScore {
        let score =
            if text.len() > DETACHED_TEXT { py.detach(|| self.scorer.score(text)) } else { self.scorer.score(text) };
        score.into()
    }

    fn explain(&self, py: Python<'_>, text: &str) -> PyResult<PyExplanation> {
        PyExplanation::new(py, py.detach(|| self.scorer.explain(text)))
    }

    #[getter]
    fn thresholds<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let heads = PyDict::new(py);
        for (head, values) in HEADS.iter().zip(self.scorer.thresholds()) {
            let named = PyDict::new(py);
            for (name, value) in LEVELS.iter().zip(values) {
                named.set_item(name, probability(value))?;
            }
            heads.set_item(head, named)?;
        }
        Ok(heads)
    }

    #[getter]
    fn model(&self) -> String {
        self.scorer.model().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Of units of 1/65536; exact.
fn probability(units: u32) -> f64 {
    f64::from(units) / 65536.0
}

#[pyclass(module = "chiron._core", frozen, name = "Score")]
pub(crate) struct PyScore {
    score: Score,
}

impl From<Score> for PyScore {
    fn from(score: Score) -> Self {
        Self { score }
    }
}

#[pymethods]
impl PyScore {
    #[getter]
    fn heads<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.score.heads.map(probability))
    }

    #[getter]
    fn severity(&self) -> u8 {
        self.score.severity
    }

    #[getter]
    fn contact<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.score.contact.iter().map(|kind| kind.name()).collect::<Vec<_>>())
    }

    #[getter]
    fn suspicious(&self) -> bool {
        self.score.suspicious
    }

    #[getter]
    fn identity_only(&self) -> bool {
        self.score.identity_only
    }

    #[getter]
    fn cut(&self) -> bool {
        self.score.cut
    }
}

#[pyclass(module = "chiron._core", frozen, get_all, name = "Explanation")]
pub(crate) struct PyExplanation {
    score: Py<PyScore>,
    spans: Vec<Py<PySpan>>,
    features: Vec<(&'static str, String, f64)>,
}

impl PyExplanation {
    fn new(py: Python<'_>, explanation: Explanation) -> PyResult<Self> {
        let Explanation { score, spans, features } = explanation;
        let spans = spans.into_iter().map(|span| Py::new(py, PySpan::from(span))).collect::<PyResult<_>>()?;
        Ok(Self { score: Py::new(py, PyScore::from(score))?, spans, features })
    }
}

#[pyclass(module = "chiron._core", frozen, get_all, name = "Span")]
pub(crate) struct PySpan {
    start: usize,
    end: usize,
    label: &'static str,
    severity: u8,
    text: String,
}

impl From<Span> for PySpan {
    fn from(span: Span) -> Self {
        let Span { start, end, label, severity, text } = span;
        Self { start, end, label, severity, text }
    }
}

/// Half-open ranges of code points.
type Ranges = Vec<(usize, usize)>;
type Named = Vec<(usize, usize, &'static str)>;

#[pyfunction]
pub(crate) fn normalise(text: &str) -> (String, Ranges, String, Ranges, Named, Named, bool) {
    let mut normaliser = Normaliser::default();
    let normalised = normaliser.run(text);
    let ranges = |mapped: &Mapped| -> Ranges {
        mapped.origins().iter().map(|origin| (origin.start as usize, origin.end as usize)).collect()
    };
    let character = |byte: u32| normalised.plain.origins().partition_point(|origin| origin.byte < byte);
    let words = normalised.words.iter().map(|word| {
        let kind = match word.kind {
            Kind::Word => "word",
            Kind::Spaced => "spaced",
            Kind::Link => "link",
            Kind::Mention => "mention",
            Kind::Symbol => "symbol",
        };
        (character(word.start), character(word.end), kind)
    });
    let suspects = normalised.suspects.iter().map(|suspect| {
        let guise = match suspect.guise {
            Guise::Invisible => "invisible",
            Guise::MixedScript => "mixed_script",
        };
        (suspect.start as usize, suspect.end as usize, guise)
    });
    (
        normalised.folded.as_str().to_owned(),
        ranges(&normalised.folded),
        normalised.plain.as_str().to_owned(),
        ranges(&normalised.plain),
        words.collect(),
        suspects.collect(),
        normalised.cut,
    )
}
