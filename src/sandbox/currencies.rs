//! The currency codes the sandbox knows: ISO 4217, with the few that were retired of late.

/// Codes in use in November 2026, funds and metals included, sorted.
const CODES: &str = "\
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP \
BYN BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB \
EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD \
JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU \
MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD \
RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY \
TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAD XAF XAG XAU XBA XBB XBC XBD \
XCD XCG XDR XOF XPD XPF XPT XSU XTS XUA XXX YER ZAR ZMW ZWG ZWL";

/// Whether `code` is a currency, in any case: Meta's own samples send lower case too.
pub(super) fn known(code: &str) -> bool {
    code.len() == 3
        && CODES
            .split(' ')
            .any(|known| known.eq_ignore_ascii_case(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_letters_of_the_list_in_any_case() {
        for good in ["USD", "eur", "Jpy", "ZWL", "AED"] {
            assert!(known(good), "{good}");
        }
        for bad in ["", "US", "USDX", "$", "ZZZ", "D A", "€€€"] {
            assert!(!known(bad), "{bad}");
        }
    }

    #[test]
    fn every_row_is_three_capitals_and_sorted() {
        let codes: Vec<_> = CODES.split(' ').collect();
        assert!(codes.iter().all(|code| code.len() == 3));
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
