//! Look-up data of the rules: gender words, states, provinces, countries, currencies.
//!
//! Every list is sorted by its key, so a look-up is a binary search. The keys of places are "table
//! keys": `&` written out, lower-case, decomposed, only `a`-`z` kept (`normalise::place`).
//! A test compares this file with `tests/vectors/tables.json`.

/// Words for a gender and the initial they stand for.
#[rustfmt::skip]
pub(super) static GENDERS: &[(&str, &str)] = &[
    ("aunt", "f"), ("belle", "f"), ("bloke", "m"), ("boy", "m"), ("boyfriend", "m"),
    ("bride", "f"), ("brother", "m"), ("chap", "m"), ("chick", "f"), ("count", "m"),
    ("countess", "f"), ("dad", "m"), ("daddy", "m"), ("dame", "f"), ("daughter", "f"),
    ("duchess", "f"), ("dude", "m"), ("duke", "m"), ("emperor", "m"), ("empress", "f"),
    ("f", "f"), ("father", "m"), ("fellow", "m"), ("female", "f"), ("gal", "f"),
    ("gentleman", "m"), ("girl", "f"), ("girlfriend", "f"), ("god", "m"), ("goddess", "f"),
    ("groom", "m"), ("guy", "m"), ("he", "m"), ("her", "f"), ("hers", "f"), ("herself", "f"),
    ("him", "m"), ("himself", "m"), ("his", "m"), ("husband", "m"), ("king", "m"), ("lad", "m"),
    ("lady", "f"), ("lass", "f"), ("lord", "m"), ("m", "m"), ("ma'am", "f"), ("madam", "f"),
    ("maiden", "f"), ("male", "m"), ("mama", "f"), ("man", "m"), ("miss", "f"), ("mister", "m"),
    ("mom", "f"), ("mommy", "f"), ("mother", "f"), ("mr", "m"), ("mrs", "f"), ("ms", "f"),
    ("nephew", "m"), ("niece", "f"), ("papa", "m"), ("prince", "m"), ("princess", "f"),
    ("queen", "f"), ("she", "f"), ("sir", "m"), ("sister", "f"), ("son", "m"), ("uncle", "m"),
    ("widow", "f"), ("widower", "m"), ("wife", "f"), ("woman", "f"),
];

/// States and territories of the United States and their postal codes.
#[rustfmt::skip]
pub(super) static US_STATES: &[(&str, &str)] = &[
    ("alabama", "al"), ("alaska", "ak"), ("americansamoa", "as"), ("arizona", "az"),
    ("arkansas", "ar"), ("california", "ca"), ("colorado", "co"), ("connecticut", "ct"),
    ("delaware", "de"), ("districtofcolumbia", "dc"), ("florida", "fl"), ("georgia", "ga"),
    ("guam", "gu"), ("hawaii", "hi"), ("idaho", "id"), ("illinois", "il"), ("indiana", "in"),
    ("iowa", "ia"), ("kansas", "ks"), ("kentucky", "ky"), ("louisiana", "la"), ("maine", "me"),
    ("maryland", "md"), ("massachusetts", "ma"), ("michigan", "mi"), ("minnesota", "mn"),
    ("mississippi", "ms"), ("missouri", "mo"), ("montana", "mt"), ("nebraska", "ne"),
    ("nevada", "nv"), ("newhampshire", "nh"), ("newjersey", "nj"), ("newmexico", "nm"),
    ("newyork", "ny"), ("northcarolina", "nc"), ("northdakota", "nd"),
    ("northernmarianaislands", "mp"), ("ohio", "oh"), ("oklahoma", "ok"), ("oregon", "or"),
    ("pennsylvania", "pa"), ("puertorico", "pr"), ("rhodeisland", "ri"),
    ("southcarolina", "sc"), ("southdakota", "sd"), ("tennessee", "tn"), ("texas", "tx"),
    ("usvirginislands", "vi"), ("utah", "ut"), ("vermont", "vt"), ("virginia", "va"),
    ("virginislands", "vi"), ("washington", "wa"), ("washingtondc", "dc"),
    ("westvirginia", "wv"), ("wisconsin", "wi"), ("wyoming", "wy"),
];

/// Provinces of Canada and their postal codes.
#[rustfmt::skip]
pub(super) static CA_PROVINCES: &[(&str, &str)] = &[
    ("alberta", "ab"), ("britishcolumbia", "bc"), ("manitoba", "mb"), ("newbrunswick", "nb"),
    ("newfoundlandandlabrador", "nl"), ("northwestterritories", "nt"), ("novascotia", "ns"),
    ("nunavut", "nu"), ("ontario", "on"), ("princeedwardisland", "pe"), ("quebec", "qc"),
    ("saskatchewan", "sk"), ("yukon", "yt"),
];

/// Two-letter codes in wide use that ISO 3166-1 writes otherwise.
#[rustfmt::skip]
pub(super) static COUNTRY_ALIASES: &[(&str, &str)] = &[
    ("uk", "gb"),
];

/// ISO 3166-1 alpha-3 codes and their alpha-2 codes.
#[rustfmt::skip]
pub(super) static COUNTRY_ALPHA3: &[(&str, &str)] = &[
    ("abw", "aw"), ("afg", "af"), ("ago", "ao"), ("aia", "ai"), ("ala", "ax"), ("alb", "al"),
    ("and", "ad"), ("are", "ae"), ("arg", "ar"), ("arm", "am"), ("asm", "as"), ("ata", "aq"),
    ("atf", "tf"), ("atg", "ag"), ("aus", "au"), ("aut", "at"), ("aze", "az"), ("bdi", "bi"),
    ("bel", "be"), ("ben", "bj"), ("bes", "bq"), ("bfa", "bf"), ("bgd", "bd"), ("bgr", "bg"),
    ("bhr", "bh"), ("bhs", "bs"), ("bih", "ba"), ("blm", "bl"), ("blr", "by"), ("blz", "bz"),
    ("bmu", "bm"), ("bol", "bo"), ("bra", "br"), ("brb", "bb"), ("brn", "bn"), ("btn", "bt"),
    ("bvt", "bv"), ("bwa", "bw"), ("caf", "cf"), ("can", "ca"), ("cck", "cc"), ("che", "ch"),
    ("chl", "cl"), ("chn", "cn"), ("civ", "ci"), ("cmr", "cm"), ("cod", "cd"), ("cog", "cg"),
    ("cok", "ck"), ("col", "co"), ("com", "km"), ("cpv", "cv"), ("cri", "cr"), ("cub", "cu"),
    ("cuw", "cw"), ("cxr", "cx"), ("cym", "ky"), ("cyp", "cy"), ("cze", "cz"), ("deu", "de"),
    ("dji", "dj"), ("dma", "dm"), ("dnk", "dk"), ("dom", "do"), ("dza", "dz"), ("ecu", "ec"),
    ("egy", "eg"), ("eri", "er"), ("esh", "eh"), ("esp", "es"), ("est", "ee"), ("eth", "et"),
    ("fin", "fi"), ("fji", "fj"), ("flk", "fk"), ("fra", "fr"), ("fro", "fo"), ("fsm", "fm"),
    ("gab", "ga"), ("gbr", "gb"), ("geo", "ge"), ("ggy", "gg"), ("gha", "gh"), ("gib", "gi"),
    ("gin", "gn"), ("glp", "gp"), ("gmb", "gm"), ("gnb", "gw"), ("gnq", "gq"), ("grc", "gr"),
    ("grd", "gd"), ("grl", "gl"), ("gtm", "gt"), ("guf", "gf"), ("gum", "gu"), ("guy", "gy"),
    ("hkg", "hk"), ("hmd", "hm"), ("hnd", "hn"), ("hrv", "hr"), ("hti", "ht"), ("hun", "hu"),
    ("idn", "id"), ("imn", "im"), ("ind", "in"), ("iot", "io"), ("irl", "ie"), ("irn", "ir"),
    ("irq", "iq"), ("isl", "is"), ("isr", "il"), ("ita", "it"), ("jam", "jm"), ("jey", "je"),
    ("jor", "jo"), ("jpn", "jp"), ("kaz", "kz"), ("ken", "ke"), ("kgz", "kg"), ("khm", "kh"),
    ("kir", "ki"), ("kna", "kn"), ("kor", "kr"), ("kwt", "kw"), ("lao", "la"), ("lbn", "lb"),
    ("lbr", "lr"), ("lby", "ly"), ("lca", "lc"), ("lie", "li"), ("lka", "lk"), ("lso", "ls"),
    ("ltu", "lt"), ("lux", "lu"), ("lva", "lv"), ("mac", "mo"), ("maf", "mf"), ("mar", "ma"),
    ("mco", "mc"), ("mda", "md"), ("mdg", "mg"), ("mdv", "mv"), ("mex", "mx"), ("mhl", "mh"),
    ("mkd", "mk"), ("mli", "ml"), ("mlt", "mt"), ("mmr", "mm"), ("mne", "me"), ("mng", "mn"),
    ("mnp", "mp"), ("moz", "mz"), ("mrt", "mr"), ("msr", "ms"), ("mtq", "mq"), ("mus", "mu"),
    ("mwi", "mw"), ("mys", "my"), ("myt", "yt"), ("nam", "na"), ("ncl", "nc"), ("ner", "ne"),
    ("nfk", "nf"), ("nga", "ng"), ("nic", "ni"), ("niu", "nu"), ("nld", "nl"), ("nor", "no"),
    ("npl", "np"), ("nru", "nr"), ("nzl", "nz"), ("omn", "om"), ("pak", "pk"), ("pan", "pa"),
    ("pcn", "pn"), ("per", "pe"), ("phl", "ph"), ("plw", "pw"), ("png", "pg"), ("pol", "pl"),
    ("pri", "pr"), ("prk", "kp"), ("prt", "pt"), ("pry", "py"), ("pse", "ps"), ("pyf", "pf"),
    ("qat", "qa"), ("reu", "re"), ("rou", "ro"), ("rus", "ru"), ("rwa", "rw"), ("sau", "sa"),
    ("sdn", "sd"), ("sen", "sn"), ("sgp", "sg"), ("sgs", "gs"), ("shn", "sh"), ("sjm", "sj"),
    ("slb", "sb"), ("sle", "sl"), ("slv", "sv"), ("smr", "sm"), ("som", "so"), ("spm", "pm"),
    ("srb", "rs"), ("ssd", "ss"), ("stp", "st"), ("sur", "sr"), ("svk", "sk"), ("svn", "si"),
    ("swe", "se"), ("swz", "sz"), ("sxm", "sx"), ("syc", "sc"), ("syr", "sy"), ("tca", "tc"),
    ("tcd", "td"), ("tgo", "tg"), ("tha", "th"), ("tjk", "tj"), ("tkl", "tk"), ("tkm", "tm"),
    ("tls", "tl"), ("ton", "to"), ("tto", "tt"), ("tun", "tn"), ("tur", "tr"), ("tuv", "tv"),
    ("twn", "tw"), ("tza", "tz"), ("uga", "ug"), ("ukr", "ua"), ("umi", "um"), ("ury", "uy"),
    ("usa", "us"), ("uzb", "uz"), ("vat", "va"), ("vct", "vc"), ("ven", "ve"), ("vgb", "vg"),
    ("vir", "vi"), ("vnm", "vn"), ("vut", "vu"), ("wlf", "wf"), ("wsm", "ws"), ("yem", "ye"),
    ("zaf", "za"), ("zmb", "zm"), ("zwe", "zw"),
];

/// Names of countries and their alpha-2 codes.
#[rustfmt::skip]
pub(super) static COUNTRY_NAMES: &[(&str, &str)] = &[
    ("afghanistan", "af"), ("alandislands", "ax"), ("albania", "al"), ("algeria", "dz"),
    ("americansamoa", "as"), ("andorra", "ad"), ("angola", "ao"), ("anguilla", "ai"),
    ("antarctica", "aq"), ("antiguaandbarbuda", "ag"), ("arabrepublicofegypt", "eg"),
    ("argentina", "ar"), ("argentinerepublic", "ar"), ("armenia", "am"), ("aruba", "aw"),
    ("australia", "au"), ("austria", "at"), ("azerbaijan", "az"), ("bahamas", "bs"),
    ("bahrain", "bh"), ("bangladesh", "bd"), ("barbados", "bb"), ("belarus", "by"),
    ("belgium", "be"), ("belize", "bz"), ("benin", "bj"), ("bermuda", "bm"), ("bhutan", "bt"),
    ("bolivarianrepublicofvenezuela", "ve"), ("bolivia", "bo"),
    ("boliviaplurinationalstateof", "bo"), ("bonairesinteustatinsandsaba", "bq"),
    ("bonairesinteustatiusandsaba", "bq"), ("bosniaandherzegovina", "ba"), ("botswana", "bw"),
    ("bouvetisland", "bv"), ("brazil", "br"), ("britishindianoceanterritory", "io"),
    ("britishvirginislands", "vg"), ("brunei", "bn"), ("bruneidarussalam", "bn"),
    ("bulgaria", "bg"), ("burkinafaso", "bf"), ("burma", "mm"), ("burundi", "bi"),
    ("caboverde", "cv"), ("cambodia", "kh"), ("cameroon", "cm"), ("canada", "ca"),
    ("capeverde", "cv"), ("caymanislands", "ky"), ("centralafricanrepublic", "cf"),
    ("chad", "td"), ("chile", "cl"), ("china", "cn"), ("christmasisland", "cx"),
    ("cocoskeelingislands", "cc"), ("colombia", "co"), ("commonwealthofdominica", "dm"),
    ("commonwealthofthebahamas", "bs"), ("commonwealthofthenorthernmarianaislands", "mp"),
    ("comoros", "km"), ("congo", "cg"), ("congothedemocraticrepublicofthe", "cd"),
    ("cookislands", "ck"), ("costarica", "cr"), ("cotedivoire", "ci"), ("croatia", "hr"),
    ("cuba", "cu"), ("curacao", "cw"), ("cyprus", "cy"), ("czechia", "cz"),
    ("czechrepublic", "cz"), ("democraticpeoplesrepublicofkorea", "kp"),
    ("democraticrepublicofsaotomeandprincipe", "st"), ("democraticrepublicofthecongo", "cd"),
    ("democraticrepublicoftimorleste", "tl"), ("democraticsocialistrepublicofsrilanka", "lk"),
    ("denmark", "dk"), ("djibouti", "dj"), ("dominica", "dm"), ("dominicanrepublic", "do"),
    ("easternrepublicofuruguay", "uy"), ("easttimor", "tl"), ("ecuador", "ec"), ("egypt", "eg"),
    ("elsalvador", "sv"), ("equatorialguinea", "gq"), ("eritrea", "er"), ("estonia", "ee"),
    ("eswatini", "sz"), ("ethiopia", "et"), ("falklandislands", "fk"),
    ("falklandislandsmalvinas", "fk"), ("faroeislands", "fo"),
    ("federaldemocraticrepublicofethiopia", "et"), ("federaldemocraticrepublicofnepal", "np"),
    ("federalrepublicofgermany", "de"), ("federalrepublicofnigeria", "ng"),
    ("federalrepublicofsomalia", "so"), ("federatedstatesofmicronesia", "fm"),
    ("federativerepublicofbrazil", "br"), ("fiji", "fj"), ("finland", "fi"), ("france", "fr"),
    ("frenchguiana", "gf"), ("frenchpolynesia", "pf"), ("frenchrepublic", "fr"),
    ("frenchsouthernterritories", "tf"), ("gabon", "ga"), ("gaboneserepublic", "ga"),
    ("gambia", "gm"), ("georgia", "ge"), ("germany", "de"), ("ghana", "gh"),
    ("gibraltar", "gi"), ("grandduchyofluxembourg", "lu"), ("greatbritain", "gb"),
    ("greece", "gr"), ("greenland", "gl"), ("grenada", "gd"), ("guadeloupe", "gp"),
    ("guam", "gu"), ("guatemala", "gt"), ("guernsey", "gg"), ("guinea", "gn"),
    ("guineabissau", "gw"), ("guyana", "gy"), ("haiti", "ht"),
    ("hashemitekingdomofjordan", "jo"), ("heardislandandmcdonaldislands", "hm"),
    ("hellenicrepublic", "gr"), ("holland", "nl"), ("holyseevaticancitystate", "va"),
    ("honduras", "hn"), ("hongkong", "hk"),
    ("hongkongspecialadministrativeregionofchina", "hk"), ("hungary", "hu"), ("iceland", "is"),
    ("independentstateofpapuanewguinea", "pg"), ("independentstateofsamoa", "ws"),
    ("india", "in"), ("indonesia", "id"), ("iran", "ir"), ("iranislamicrepublicof", "ir"),
    ("iraq", "iq"), ("ireland", "ie"), ("islamicrepublicofafghanistan", "af"),
    ("islamicrepublicofiran", "ir"), ("islamicrepublicofmauritania", "mr"),
    ("islamicrepublicofpakistan", "pk"), ("isleofman", "im"), ("israel", "il"),
    ("italianrepublic", "it"), ("italy", "it"), ("ivorycoast", "ci"), ("jamaica", "jm"),
    ("japan", "jp"), ("jersey", "je"), ("jordan", "jo"), ("kazakhstan", "kz"), ("kenya", "ke"),
    ("kingdomofbahrain", "bh"), ("kingdomofbelgium", "be"), ("kingdomofbhutan", "bt"),
    ("kingdomofcambodia", "kh"), ("kingdomofdenmark", "dk"), ("kingdomofeswatini", "sz"),
    ("kingdomoflesotho", "ls"), ("kingdomofmorocco", "ma"), ("kingdomofnorway", "no"),
    ("kingdomofsaudiarabia", "sa"), ("kingdomofspain", "es"), ("kingdomofsweden", "se"),
    ("kingdomofthailand", "th"), ("kingdomofthenetherlands", "nl"), ("kingdomoftonga", "to"),
    ("kiribati", "ki"), ("koreademocraticpeoplesrepublicof", "kp"), ("korearepublicof", "kr"),
    ("kuwait", "kw"), ("kyrgyzrepublic", "kg"), ("kyrgyzstan", "kg"),
    ("laopeoplesdemocraticrepublic", "la"), ("laos", "la"), ("latvia", "lv"),
    ("lebaneserepublic", "lb"), ("lebanon", "lb"), ("lesotho", "ls"), ("liberia", "lr"),
    ("libya", "ly"), ("liechtenstein", "li"), ("lithuania", "lt"), ("luxembourg", "lu"),
    ("macao", "mo"), ("macaospecialadministrativeregionofchina", "mo"), ("macau", "mo"),
    ("macedonia", "mk"), ("macedoniatheformeryugoslavrepublicof", "mk"), ("madagascar", "mg"),
    ("malawi", "mw"), ("malaysia", "my"), ("maldives", "mv"), ("mali", "ml"), ("malta", "mt"),
    ("marshallislands", "mh"), ("martinique", "mq"), ("mauritania", "mr"), ("mauritius", "mu"),
    ("mayotte", "yt"), ("mexico", "mx"), ("micronesia", "fm"),
    ("micronesiafederatedstatesof", "fm"), ("moldova", "md"), ("moldovarepublicof", "md"),
    ("monaco", "mc"), ("mongolia", "mn"), ("montenegro", "me"), ("montserrat", "ms"),
    ("morocco", "ma"), ("mozambique", "mz"), ("myanmar", "mm"), ("namibia", "na"),
    ("nauru", "nr"), ("nepal", "np"), ("netherlands", "nl"), ("newcaledonia", "nc"),
    ("newzealand", "nz"), ("nicaragua", "ni"), ("niger", "ne"), ("nigeria", "ng"),
    ("niue", "nu"), ("norfolkisland", "nf"), ("northernmarianaislands", "mp"),
    ("northkorea", "kp"), ("northmacedonia", "mk"), ("norway", "no"), ("oman", "om"),
    ("pakistan", "pk"), ("palau", "pw"), ("palestine", "ps"), ("palestinestateof", "ps"),
    ("panama", "pa"), ("papuanewguinea", "pg"), ("paraguay", "py"),
    ("peoplesdemocraticrepublicofalgeria", "dz"), ("peoplesrepublicofbangladesh", "bd"),
    ("peoplesrepublicofchina", "cn"), ("peru", "pe"), ("philippines", "ph"), ("pitcairn", "pn"),
    ("plurinationalstateofbolivia", "bo"), ("poland", "pl"), ("portugal", "pt"),
    ("portugueserepublic", "pt"), ("principalityofandorra", "ad"),
    ("principalityofliechtenstein", "li"), ("principalityofmonaco", "mc"), ("puertorico", "pr"),
    ("qatar", "qa"), ("republicofalbania", "al"), ("republicofangola", "ao"),
    ("republicofarmenia", "am"), ("republicofaustria", "at"), ("republicofazerbaijan", "az"),
    ("republicofbelarus", "by"), ("republicofbenin", "bj"),
    ("republicofbosniaandherzegovina", "ba"), ("republicofbotswana", "bw"),
    ("republicofbulgaria", "bg"), ("republicofburundi", "bi"), ("republicofcaboverde", "cv"),
    ("republicofcameroon", "cm"), ("republicofchad", "td"), ("republicofchile", "cl"),
    ("republicofcolombia", "co"), ("republicofcostarica", "cr"),
    ("republicofcotedivoire", "ci"), ("republicofcroatia", "hr"), ("republicofcuba", "cu"),
    ("republicofcyprus", "cy"), ("republicofdjibouti", "dj"), ("republicofecuador", "ec"),
    ("republicofelsalvador", "sv"), ("republicofequatorialguinea", "gq"),
    ("republicofestonia", "ee"), ("republicoffiji", "fj"), ("republicoffinland", "fi"),
    ("republicofghana", "gh"), ("republicofguatemala", "gt"), ("republicofguinea", "gn"),
    ("republicofguineabissau", "gw"), ("republicofguyana", "gy"), ("republicofhaiti", "ht"),
    ("republicofhonduras", "hn"), ("republicoficeland", "is"), ("republicofindia", "in"),
    ("republicofindonesia", "id"), ("republicofiraq", "iq"), ("republicofkazakhstan", "kz"),
    ("republicofkenya", "ke"), ("republicofkiribati", "ki"), ("republicofkorea", "kr"),
    ("republicoflatvia", "lv"), ("republicofliberia", "lr"), ("republicoflithuania", "lt"),
    ("republicofmadagascar", "mg"), ("republicofmalawi", "mw"), ("republicofmaldives", "mv"),
    ("republicofmali", "ml"), ("republicofmalta", "mt"), ("republicofmauritius", "mu"),
    ("republicofmoldova", "md"), ("republicofmozambique", "mz"), ("republicofmyanmar", "mm"),
    ("republicofnamibia", "na"), ("republicofnauru", "nr"), ("republicofnicaragua", "ni"),
    ("republicofnorthmacedonia", "mk"), ("republicofpalau", "pw"), ("republicofpanama", "pa"),
    ("republicofparaguay", "py"), ("republicofperu", "pe"), ("republicofpoland", "pl"),
    ("republicofsanmarino", "sm"), ("republicofsenegal", "sn"), ("republicofserbia", "rs"),
    ("republicofseychelles", "sc"), ("republicofsierraleone", "sl"),
    ("republicofsingapore", "sg"), ("republicofslovenia", "si"),
    ("republicofsouthafrica", "za"), ("republicofsouthsudan", "ss"),
    ("republicofsuriname", "sr"), ("republicoftajikistan", "tj"), ("republicofthecongo", "cg"),
    ("republicofthegambia", "gm"), ("republicofthemarshallislands", "mh"),
    ("republicoftheniger", "ne"), ("republicofthephilippines", "ph"),
    ("republicofthesudan", "sd"), ("republicoftrinidadandtobago", "tt"),
    ("republicoftunisia", "tn"), ("republicofturkiye", "tr"), ("republicofuganda", "ug"),
    ("republicofuzbekistan", "uz"), ("republicofvanuatu", "vu"), ("republicofyemen", "ye"),
    ("republicofzambia", "zm"), ("republicofzimbabwe", "zw"), ("reunion", "re"),
    ("romania", "ro"), ("russia", "ru"), ("russianfederation", "ru"), ("rwanda", "rw"),
    ("rwandeserepublic", "rw"), ("saintbarthelemy", "bl"),
    ("sainthelenaascensionandtristandacunha", "sh"), ("saintkittsandnevis", "kn"),
    ("saintlucia", "lc"), ("saintmartin", "mf"), ("saintmartinfrenchpart", "mf"),
    ("saintpierreandmiquelon", "pm"), ("saintvincentandthegrenadines", "vc"), ("samoa", "ws"),
    ("sanmarino", "sm"), ("saotomeandprincipe", "st"), ("saudiarabia", "sa"), ("senegal", "sn"),
    ("serbia", "rs"), ("seychelles", "sc"), ("sierraleone", "sl"), ("singapore", "sg"),
    ("sintmaarten", "sx"), ("sintmaartenductchpart", "sx"), ("sintmaartendutchpart", "sx"),
    ("slovakia", "sk"), ("slovakrepublic", "sk"), ("slovenia", "si"),
    ("socialistrepublicofvietnam", "vn"), ("solomonislands", "sb"), ("somalia", "so"),
    ("southafrica", "za"), ("southgeorgiaandthesouthsandwichislands", "gs"),
    ("southkorea", "kr"), ("southsudan", "ss"), ("spain", "es"), ("srilanka", "lk"),
    ("stateofisrael", "il"), ("stateofkuwait", "kw"), ("stateofqatar", "qa"), ("sudan", "sd"),
    ("sultanateofoman", "om"), ("suriname", "sr"), ("svalbardandjanmayen", "sj"),
    ("swaziland", "sz"), ("sweden", "se"), ("swissconfederation", "ch"), ("switzerland", "ch"),
    ("syria", "sy"), ("syrianarabrepublic", "sy"), ("taiwan", "tw"),
    ("taiwanprovinceofchina", "tw"), ("tajikistan", "tj"), ("tanzania", "tz"),
    ("tanzaniaunitedrepublicof", "tz"), ("thailand", "th"), ("thestateoferitrea", "er"),
    ("thestateofpalestine", "ps"), ("timorleste", "tl"), ("togo", "tg"),
    ("togoleserepublic", "tg"), ("tokelau", "tk"), ("tonga", "to"), ("trinidadandtobago", "tt"),
    ("tunisia", "tn"), ("turkey", "tr"), ("turkiye", "tr"), ("turkmenistan", "tm"),
    ("turksandcaicosislands", "tc"), ("tuvalu", "tv"), ("uganda", "ug"), ("ukraine", "ua"),
    ("unionofthecomoros", "km"), ("unitedarabemirates", "ae"), ("unitedkingdom", "gb"),
    ("unitedkingdomofgreatbritainandnorthernireland", "gb"), ("unitedmexicanstates", "mx"),
    ("unitedrepublicoftanzania", "tz"), ("unitedstates", "us"),
    ("unitedstatesminoroutlyingislands", "um"), ("unitedstatesofamerica", "us"),
    ("uruguay", "uy"), ("usvirginislands", "vi"), ("uzbekistan", "uz"), ("vanuatu", "vu"),
    ("vatican", "va"), ("vaticancity", "va"), ("venezuela", "ve"),
    ("venezuelabolivarianrepublicof", "ve"), ("vietnam", "vn"), ("virginislandsbritish", "vg"),
    ("virginislandsoftheunitedstates", "vi"), ("virginislandsus", "vi"),
    ("wallisandfutuna", "wf"), ("westernsahara", "eh"), ("yemen", "ye"), ("zambia", "zm"),
    ("zimbabwe", "zw"),
];

/// ISO 3166-1 alpha-2 codes, lower-case.
#[rustfmt::skip]
pub(super) static COUNTRY_ALPHA2: &[&str] = &[
    "ad", "ae", "af", "ag", "ai", "al", "am", "ao", "aq", "ar", "as", "at", "au", "aw", "ax",
    "az", "ba", "bb", "bd", "be", "bf", "bg", "bh", "bi", "bj", "bl", "bm", "bn", "bo", "bq",
    "br", "bs", "bt", "bv", "bw", "by", "bz", "ca", "cc", "cd", "cf", "cg", "ch", "ci", "ck",
    "cl", "cm", "cn", "co", "cr", "cu", "cv", "cw", "cx", "cy", "cz", "de", "dj", "dk", "dm",
    "do", "dz", "ec", "ee", "eg", "eh", "er", "es", "et", "fi", "fj", "fk", "fm", "fo", "fr",
    "ga", "gb", "gd", "ge", "gf", "gg", "gh", "gi", "gl", "gm", "gn", "gp", "gq", "gr", "gs",
    "gt", "gu", "gw", "gy", "hk", "hm", "hn", "hr", "ht", "hu", "id", "ie", "il", "im", "in",
    "io", "iq", "ir", "is", "it", "je", "jm", "jo", "jp", "ke", "kg", "kh", "ki", "km", "kn",
    "kp", "kr", "kw", "ky", "kz", "la", "lb", "lc", "li", "lk", "lr", "ls", "lt", "lu", "lv",
    "ly", "ma", "mc", "md", "me", "mf", "mg", "mh", "mk", "ml", "mm", "mn", "mo", "mp", "mq",
    "mr", "ms", "mt", "mu", "mv", "mw", "mx", "my", "mz", "na", "nc", "ne", "nf", "ng", "ni",
    "nl", "no", "np", "nr", "nu", "nz", "om", "pa", "pe", "pf", "pg", "ph", "pk", "pl", "pm",
    "pn", "pr", "ps", "pt", "pw", "py", "qa", "re", "ro", "rs", "ru", "rw", "sa", "sb", "sc",
    "sd", "se", "sg", "sh", "si", "sj", "sk", "sl", "sm", "sn", "so", "sr", "ss", "st", "sv",
    "sx", "sy", "sz", "tc", "td", "tf", "tg", "th", "tj", "tk", "tl", "tm", "tn", "to", "tr",
    "tt", "tv", "tw", "tz", "ua", "ug", "um", "us", "uy", "uz", "va", "vc", "ve", "vg", "vi",
    "vn", "vu", "wf", "ws", "ye", "yt", "za", "zm", "zw",
];

/// ISO 4217 codes.
#[rustfmt::skip]
pub(super) static CURRENCIES: &[&str] = &[
    "AED", "AFN", "ALL", "AMD", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BHD",
    "BIF", "BMD", "BND", "BOB", "BOV", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF",
    "CHE", "CHF", "CHW", "CLF", "CLP", "CNY", "COP", "COU", "CRC", "CUP", "CVE", "CZK", "DJF",
    "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GHS", "GIP",
    "GMD", "GNF", "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF", "IDR", "ILS", "INR", "IQD", "IRR",
    "ISK", "JMD", "JOD", "JPY", "KES", "KGS", "KHR", "KMF", "KPW", "KRW", "KWD", "KYD", "KZT",
    "LAK", "LBP", "LKR", "LRD", "LSL", "LYD", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP",
    "MRU", "MUR", "MVR", "MWK", "MXN", "MXV", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR",
    "NZD", "OMR", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN", "PYG", "QAR", "RON", "RSD", "RUB",
    "RWF", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE", "SOS", "SRD", "SSP", "STN",
    "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TND", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH",
    "UGX", "USD", "USN", "UYI", "UYU", "UYW", "UZS", "VED", "VES", "VND", "VUV", "WST", "XAD",
    "XAF", "XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XCD", "XCG", "XDR", "XOF", "XPD", "XPF",
    "XPT", "XSU", "XTS", "XUA", "XXX", "YER", "ZAR", "ZMW", "ZWG",
];

/// What `key` stands for in a sorted list of pairs.
pub(super) fn find(
    table: &'static [(&'static str, &'static str)],
    key: &str,
) -> Option<&'static str> {
    let at = table.binary_search_by(|(name, _)| (*name).cmp(key)).ok()?;
    table.get(at).map(|(_, value)| *value)
}

/// The entry of a sorted list that equals `key`.
pub(super) fn find_in(table: &'static [&'static str], key: &str) -> Option<&'static str> {
    let at = table.binary_search(&key).ok()?;
    table.get(at).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(serde::Deserialize)]
    struct Reference {
        gender_words: BTreeMap<String, Vec<String>>,
        us_states: BTreeMap<String, String>,
        ca_provinces: BTreeMap<String, String>,
        country_alpha2: Vec<String>,
        country_alpha3: BTreeMap<String, String>,
        country_code_alias: BTreeMap<String, String>,
        country_names: BTreeMap<String, String>,
        currencies: Vec<String>,
    }

    fn same(ours: &[(&str, &str)], theirs: &BTreeMap<String, String>) {
        let theirs: Vec<(&str, &str)> = theirs
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn the_tables_are_those_of_the_vectors_and_sorted() {
        let reference: Reference =
            serde_json::from_str(include_str!("../../tests/vectors/tables.json")).unwrap();
        let mut words: Vec<(&str, &str)> = Vec::new();
        for (initial, list) in &reference.gender_words {
            words.extend(list.iter().map(|word| (word.as_str(), initial.as_str())));
        }
        words.sort_unstable();
        assert_eq!(GENDERS, words);
        same(US_STATES, &reference.us_states);
        same(CA_PROVINCES, &reference.ca_provinces);
        same(COUNTRY_ALIASES, &reference.country_code_alias);
        same(COUNTRY_ALPHA3, &reference.country_alpha3);
        same(COUNTRY_NAMES, &reference.country_names);
        let sorted = |list: &[String]| {
            let mut list: Vec<String> = list.to_vec();
            list.sort();
            list
        };
        assert_eq!(COUNTRY_ALPHA2, sorted(&reference.country_alpha2));
        assert_eq!(CURRENCIES, sorted(&reference.currencies));
    }

    #[test]
    fn a_key_is_found_whole_or_not_at_all() {
        assert_eq!(find(US_STATES, "virginia"), Some("va"));
        assert_eq!(find(US_STATES, "virgini"), None);
        assert_eq!(find_in(CURRENCIES, "EUR"), Some("EUR"));
        assert_eq!(find_in(CURRENCIES, "EU"), None);
    }
}
