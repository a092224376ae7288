//! The file of a model, as `training/reference/model.py` lays it out. Everything is checked before anything is used.
use super::{
    HEADS, LEVELS, STEP, WINDOW,
    features::{EMBEDDING_ROWS, LINEAR_ROWS, MAX_PIECES},
    kernels::Affine,
};
use aws_lc_rs::digest;

pub(super) const DIMENSIONS: usize = 16;
pub(super) const CHANNELS: usize = 32;
pub(super) const HIDDEN: usize = 32;
/// Columns of a row of the linear part, those that fill it up to a power of two among them.
pub(super) const COLUMNS: usize = 8;
/// Steps of the sigmoid: 16 to one, from -12 to 12.
pub(super) const SIGMOID: usize = 2 * 12 * 16 + 1;

const MAGIC: &[u8; 8] = b"CHIRONSC";
const VERSION: u32 = 1;
const DIGEST: usize = 32;
const WEIGHT: i16 = 2047;
const BIAS: i32 = 1 << 28;
const ONE: u32 = 1 << 16;

/// What keeps a model from being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    #[error("the file is no model of the content scorer")]
    Magic,
    #[error("the model's file ends too early")]
    Short,
    #[error("the model has version {0}; 1 is known")]
    Version(u32),
    #[error("the model's {0} is {1}, not {2}")]
    Size(&'static str, u64, u64),
    #[error("the heads of the model are not abuse, hate, sexual, threat and spam")]
    Heads,
    #[error("the model's digest is not that of its contents: the file is damaged")]
    Digest,
    #[error("the model's {0} is beyond its range")]
    Range(&'static str),
}

/// The contents of a file, as they are used.
pub(super) struct Parts {
    pub(super) conv_shift: u32,
    pub(super) pool_shift: u32,
    pub(super) dense_shift: u32,
    pub(super) out_mul: i64,
    pub(super) linear_mul: i64,
    pub(super) platt_a: [i32; HEADS.len()],
    pub(super) platt_b: [i32; HEADS.len()],
    pub(super) thresholds: [[u32; LEVELS.len()]; HEADS.len()],
    pub(super) sigmoid: [i32; SIGMOID],
    pub(super) conv: Affine,
    pub(super) dense: Affine,
    pub(super) out: Affine,
    pub(super) embedding: Box<[[i8; DIMENSIONS]]>,
    pub(super) linear: Box<[[i8; COLUMNS]]>,
    pub(super) digest: [u8; DIGEST],
}

/// Reads what a size was checked to hold.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], ModelError> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(ModelError::Short)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ModelError> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(ModelError::Short)?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn u32(&mut self) -> Result<u32, ModelError> {
        self.array().map(u32::from_le_bytes)
    }

    fn i32(&mut self) -> Result<i32, ModelError> {
        self.array().map(i32::from_le_bytes)
    }

    fn i64(&mut self) -> Result<i64, ModelError> {
        self.array().map(i64::from_le_bytes)
    }

    /// As many as `read` gives for each place of an array.
    fn all<T: Default + Copy, const N: usize>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, ModelError>,
    ) -> Result<[T; N], ModelError> {
        let mut values = [T::default(); N];
        for value in &mut values {
            *value = read(self)?;
        }
        Ok(values)
    }

    fn shift(&mut self, name: &'static str) -> Result<u32, ModelError> {
        u32::try_from(self.i32()?).ok().filter(|shift| *shift <= 24).ok_or(ModelError::Range(name))
    }

    /// Weights by output and input, then what is added to each output.
    fn affine(&mut self, outputs: usize, inputs: usize, name: &'static str) -> Result<Affine, ModelError> {
        let mut weights = Vec::with_capacity(outputs * inputs);
        for _ in 0..outputs * inputs {
            weights.push(self.array().map(i16::from_le_bytes)?);
        }
        let bias = (0..outputs).map(|_| self.i32()).collect::<Result<Vec<_>, _>>()?;
        if weights.iter().any(|weight| !(-WEIGHT..=WEIGHT).contains(weight))
            || bias.iter().any(|bias| !(-BIAS..=BIAS).contains(bias))
        {
            return Err(ModelError::Range(name));
        }
        Ok(Affine::new(&weights, bias))
    }

    /// Rows of `N` cells, filled up with zeros to `W`.
    fn table<const N: usize, const W: usize>(&mut self, rows: usize) -> Result<Box<[[i8; W]]>, ModelError> {
        let cells = self.bytes(rows * N)?.chunks_exact(N);
        let widened = cells.map(|row| std::array::from_fn(|at| row.get(at).map_or(0, |&cell| cell as i8)));
        Ok(widened.collect())
    }
}

impl Parts {
    pub(super) fn read(file: &[u8]) -> Result<Self, ModelError> {
        let (body, expected) = file.split_last_chunk::<DIGEST>().ok_or(ModelError::Magic)?;
        let mut fields = Fields(body);
        if fields.array()? != *MAGIC {
            return Err(ModelError::Magic);
        }
        let version = fields.u32()?;
        if version != VERSION {
            return Err(ModelError::Version(version));
        }
        for (name, known) in [
            ("number of heads", HEADS.len()),
            ("number of rows of the embedding", EMBEDDING_ROWS),
            ("number of dimensions", DIMENSIONS),
            ("number of channels", CHANNELS),
            ("number of hidden units", HIDDEN),
            ("number of rows of the linear part", LINEAR_ROWS),
            ("number of pieces a word", MAX_PIECES),
            ("number of words of a window", WINDOW),
            ("number of words between windows", STEP),
        ] {
            let given = fields.u32()?;
            if given as usize != known {
                return Err(ModelError::Size(name, given.into(), known as u64));
            }
        }
        fields.bytes(64)?; // the name of the build
        for head in HEADS {
            let name: [u8; 16] = fields.array()?;
            if name.strip_prefix(head.as_bytes()).is_none_or(|rest| rest.iter().any(|&byte| byte != 0)) {
                return Err(ModelError::Heads);
            }
        }
        if digest::digest(&digest::SHA256, body).as_ref() != expected {
            return Err(ModelError::Digest);
        }
        let parts = Self {
            conv_shift: fields.shift("conv_shift")?,
            pool_shift: fields.shift("pool_shift")?,
            dense_shift: fields.shift("dense_shift")?,
            out_mul: fields.i64()?,
            linear_mul: fields.i64()?,
            platt_a: fields.all(Fields::i32)?,
            platt_b: fields.all(Fields::i32)?,
            thresholds: fields.all(|fields| fields.all(Fields::u32))?,
            sigmoid: fields.all(Fields::i32)?,
            conv: fields.affine(CHANNELS, 3 * DIMENSIONS, "convolution")?,
            dense: fields.affine(HIDDEN, 2 * CHANNELS, "dense layer")?,
            out: fields.affine(HEADS.len(), HIDDEN, "output layer")?,
            embedding: fields.table::<DIMENSIONS, DIMENSIONS>(EMBEDDING_ROWS)?,
            linear: fields.table::<{ HEADS.len() }, COLUMNS>(LINEAR_ROWS)?,
            digest: *expected,
        };
        match fields.0.len() {
            0 => parts.checked(),
            more => Err(ModelError::Size("number of bytes", file.len() as u64, (file.len() - more) as u64)),
        }
    }

    /// A logit may take 34 bits, its product with Platt's slope 62. No probability is beyond 1, and a threshold just
    /// beyond it is never reached.
    fn checked(self) -> Result<Self, ModelError> {
        let thresholds = self.thresholds.as_flattened();
        for (name, right) in [
            ("out_mul", self.out_mul.unsigned_abs() <= 1 << 26),
            ("linear_mul", self.linear_mul.unsigned_abs() <= 1 << 26),
            ("slope of Platt", self.platt_a.iter().all(|a| a.unsigned_abs() <= 1 << 28)),
            ("sigmoid", self.sigmoid.iter().all(|value| (0..=ONE as i32).contains(value))),
            ("thresholds", thresholds.iter().all(|value| *value <= ONE + 1)),
        ] {
            if !right {
                return Err(ModelError::Range(name));
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Where the arrays of a file begin, behind what is one of a kind.
    const ARRAYS: usize = 8 + 4 * 10 + 64 + 80 + 3 * 4 + 2 * 8 + 2 * 20 + 80 + 4 * SIGMOID;

    /// A file whose weights are noise, and whose sigmoid is a straight line.
    pub(crate) fn noise(seed: u64) -> Vec<u8> {
        let mut state = seed;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as i32
        };
        let mut file = MAGIC.to_vec();
        let sizes = [HEADS.len(), EMBEDDING_ROWS, DIMENSIONS, CHANNELS, HIDDEN, LINEAR_ROWS, MAX_PIECES, WINDOW, STEP];
        file.extend(VERSION.to_le_bytes());
        file.extend(sizes.iter().flat_map(|&size| (size as u32).to_le_bytes()));
        file.extend([b'n'; 64]);
        file.extend(HEADS.iter().flat_map(|head| format!("{head:\0<16}").into_bytes()));
        file.extend([8, 1, 9_i32].iter().flat_map(|shift| shift.to_le_bytes()));
        file.extend([1_i64 << 20, 1 << 17].iter().flat_map(|factor| factor.to_le_bytes()));
        file.extend([ONE; 5].iter().flat_map(|slope| slope.to_le_bytes()));
        file.extend([0; 20]);
        file.extend([ONE / 4, ONE / 2, ONE / 4 * 3, ONE].repeat(5).iter().flat_map(|level| level.to_le_bytes()));
        file.extend((0..SIGMOID as u32).flat_map(|at| (at * ONE / (SIGMOID as u32 - 1)).to_le_bytes()));
        assert_eq!(file.len(), ARRAYS);
        for (outputs, inputs) in [(CHANNELS, 3 * DIMENSIONS), (HIDDEN, 2 * CHANNELS), (HEADS.len(), HIDDEN)] {
            file.extend((0..outputs * inputs).flat_map(|_| (random() % 200).to_le_bytes()[..2].to_vec()));
            file.extend((0..outputs).flat_map(|_| (random() % (1 << 17)).to_le_bytes()));
        }
        file.extend((0..EMBEDDING_ROWS * DIMENSIONS + LINEAR_ROWS * HEADS.len()).map(|_| random() as u8));
        sealed(file)
    }

    /// The contents with their digest.
    fn sealed(mut body: Vec<u8>) -> Vec<u8> {
        let digest = digest::digest(&digest::SHA256, &body);
        body.extend(digest.as_ref());
        body
    }

    /// The file with other bytes at a place, its digest made right.
    fn changed(file: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut body = file[..file.len() - DIGEST].to_vec();
        body[at..at + bytes.len()].copy_from_slice(bytes);
        sealed(body)
    }

    fn reason(file: &[u8]) -> ModelError {
        Parts::read(file).err().expect("the file cannot be used")
    }

    #[test]
    fn a_file_that_cannot_be_used_is_refused_with_the_reason() {
        let file = noise(1);
        assert!(Parts::read(&file).is_ok());
        assert_eq!(reason(b""), ModelError::Magic);
        assert_eq!(reason(&file[..60]), ModelError::Short);
        assert_eq!(reason(&changed(&file, 0, b"X")), ModelError::Magic);
        assert_eq!(reason(&changed(&file, 8, &[2])), ModelError::Version(2));
        assert_eq!(
            reason(&changed(&file, 16, &[1])),
            ModelError::Size("number of rows of the embedding", 65537, 65536)
        );
        assert_eq!(reason(&changed(&file, 112, b"rude")), ModelError::Heads);
        assert_eq!(reason(&changed(&file, 192, &[25])), ModelError::Range("conv_shift"));
        assert_eq!(reason(&changed(&file, 192, &[0xFF; 4])), ModelError::Range("conv_shift"));
        assert_eq!(reason(&changed(&file, 211, &[0x7F])), ModelError::Range("out_mul"));
        assert_eq!(reason(&changed(&file, 220, &[0xFF, 0xFF, 0xFF, 0x7F])), ModelError::Range("slope of Platt"));
        assert_eq!(reason(&changed(&file, 260, &[0xFF; 4])), ModelError::Range("thresholds"));
        assert_eq!(reason(&changed(&file, ARRAYS - 4, &[0xFF; 4])), ModelError::Range("sigmoid"));
        assert_eq!(reason(&changed(&file, ARRAYS, &[0xFF, 0x7F])), ModelError::Range("convolution"));
        let mut damaged = file.clone();
        damaged[1_000_000] ^= 1;
        assert_eq!(reason(&damaged), ModelError::Digest);
        let longer = sealed([&file[..file.len() - DIGEST], b"more"].concat());
        assert_eq!(reason(&longer), ModelError::Size("number of bytes", file.len() as u64 + 4, file.len() as u64));
        let shorter = sealed(file[..file.len() - DIGEST - 1].to_vec());
        assert_eq!(reason(&shorter), ModelError::Short);
    }
}
