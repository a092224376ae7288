//! The short way in for a request that will get in: its token was checked before, and neither its address nor its
//! person comes near a limit. Of any other nothing is taken, and it goes the long way, which says what is wrong.
use crate::{
    jwt::Verifier,
    limit::{Limiter, Standing},
};
use std::sync::Arc;

/// What comes back per second, and how much at once after a rest.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub per_second: f64,
    pub burst: f64,
}

/// One request, by what decides about it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The value of its field `authorization`.
    pub authorization: &'a str,
    /// The limiter's key of its address, of which one is taken.
    pub address: &'a str,
    /// What is taken of its person, at most a whole burst.
    pub cost: f64,
    /// Seconds of the limiter's clock, and since the Unix epoch.
    pub now: f64,
    pub wall: f64,
}

/// What was attached to the token, and how its person stands now.
pub fn admit<T>(
    limiter: &mut Limiter,
    verifier: &mut Verifier<T>,
    address: Rate,
    person: Rate,
    asked: &Asked<'_>,
) -> Option<(Arc<T>, Standing)> {
    let token = asked.authorization.strip_prefix("Bearer ")?;
    let (claims, attached) = verifier.recall(token, asked.wall)?;
    let key = format!("person:{}", claims.sub);
    let (one, cost, now) = (1_f64.min(address.burst), asked.cost.min(person.burst), asked.now);
    let fits = limiter.fits(asked.address, one, address.per_second, address.burst, now)
        && limiter.fits(&key, cost, person.per_second, person.burst, now);
    if !fits {
        return None;
    }
    limiter.check(asked.address, one, address.per_second, address.burst, now);
    Some((attached, limiter.take(&key, cost, person.per_second, person.burst, now)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::Signer;
    use proptest::prelude::*;

    const ADDRESS: Rate = Rate { per_second: 2.0, burst: 6.0 };
    const PERSON: Rate = Rate { per_second: 1.0, burst: 3.0 };
    const EXPIRY: u64 = 1000;

    fn token(sub: &str) -> (String, Verifier<String>) {
        let signer = Signer::new("k", &[7; 32]).unwrap();
        let claims = format!(
            r#"{{"iss":"i","sub":"{sub}","aud":"a","exp":{EXPIRY},"iat":1,"jti":"j","sid":"s","client_id":"c","version":1}}"#
        );
        let mut verifier = Verifier::new("i", "a", 0.0, 9);
        verifier.set_keys([("k", signer.public_key())]).unwrap();
        (signer.sign(claims.as_bytes()).unwrap(), verifier)
    }

    #[test]
    fn only_a_token_that_was_checked_and_has_not_expired() {
        let (token, mut verifier) = token("p");
        let mut limiter = Limiter::new(9);
        let authorization = format!("Bearer {token}");
        let mut ask = |verifier: &mut Verifier<String>, authorization: &str, wall| {
            let asked = Asked { authorization, address: "a", cost: 1.0, now: 1.0, wall };
            admit(&mut limiter, verifier, ADDRESS, PERSON, &asked)
                .map(|(who, standing)| (who.to_string(), standing.left))
        };
        assert_eq!(ask(&mut verifier, &authorization, 2.0), None, "it was never checked");
        verifier.verify(&token, 2.0).unwrap();
        assert_eq!(ask(&mut verifier, &authorization, 2.0), None, "nothing is attached");
        verifier.attach(&token, "Ada".to_owned());
        assert_eq!(ask(&mut verifier, &token, 2.0), None, "the scheme is missing");
        assert_eq!(ask(&mut verifier, &authorization, 2.0), Some(("Ada".to_owned(), 2.0)));
        assert_eq!(ask(&mut verifier, &authorization, EXPIRY as f64), None, "it has expired");
        assert_eq!(
            ask(&mut verifier, &authorization, 2.0),
            Some(("Ada".to_owned(), 1.0)),
            "nothing was taken meanwhile"
        );
        verifier.detach();
        assert_eq!(ask(&mut verifier, &authorization, 2.0), None);
        verifier.attach(&token, "Ada".to_owned());
        verifier.set_keys([]).unwrap();
        assert_eq!(ask(&mut verifier, &authorization, 2.0), None, "the key is not accepted any more");
    }

    proptest! {
        /// Who is admitted would have been granted everything the long way, and the limiter is left the same; of who is
        /// not, nothing is taken.
        #[test]
        fn as_the_long_way_has_it(steps in prop::collection::vec((0.0..2.0, 0.0..4.0), 1..40)) {
            let (token, mut verifier) = token("p");
            verifier.verify(&token, 1.0).unwrap();
            verifier.attach(&token, String::new());
            let authorization = format!("Bearer {token}");
            let (mut short, mut long) = (Limiter::new(9), Limiter::new(9));
            let mut now = 0.0;
            for (pause, cost) in steps {
                now += pause;
                let asked = Asked { authorization: &authorization, address: "a", cost, now, wall: 1.0 };
                let admitted = admit(&mut short, &mut verifier, ADDRESS, PERSON, &asked);
                let granted = long.fits("a", 1.0, ADDRESS.per_second, ADDRESS.burst, now)
                    && long.fits("person:p", cost.min(PERSON.burst), PERSON.per_second, PERSON.burst, now);
                prop_assert_eq!(admitted.is_some(), granted);
                if granted {
                    prop_assert_eq!(long.check("a", 1.0, ADDRESS.per_second, ADDRESS.burst, now), 0.0);
                    let standing = long.take("person:p", cost.min(PERSON.burst), PERSON.per_second, PERSON.burst, now);
                    prop_assert_eq!(admitted.map(|(_, standing)| standing), Some(standing));
                    prop_assert_eq!(standing.wait, 0.0);
                }
                let left = |limiter: &mut Limiter, key: &str, rate: Rate| limiter.take(key, 0.0, rate.per_second, rate.burst, now);
                prop_assert_eq!(left(&mut short, "a", ADDRESS), left(&mut long, "a", ADDRESS));
                prop_assert_eq!(left(&mut short, "person:p", PERSON), left(&mut long, "person:p", PERSON));
            }
        }
    }
}
