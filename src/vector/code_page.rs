//! Encodings of the text in a shapefile's table.

use encoding_rs::Encoding;

use crate::error::{Error, Result};

/// Which characters the bytes of a text mean.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum CodePage {
    /// Nothing says: UTF-8 where it is that, else ISO-8859-1, as the format's own default is.
    Unstated,
    Utf8,
    /// ISO-8859-1, whose characters have the numbers of the bytes.
    Latin1,
    /// The characters of the bytes from 128.
    Upper(&'static str),
    /// One of the WHATWG's Encoding Standard.
    Standard(&'static Encoding),
    /// One that is not read, by the name that was found.
    Unknown(String),
}

/// Of MS-DOS; the Encoding Standard leaves them out. Tables of Unicode, Inc. (MAPPINGS/VENDORS/MICSFT/PC).
const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";
const CP850: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}";

impl CodePage {
    /// What the text of a `.cpg` names, or else the language driver byte of a `.dbf`.
    pub(super) fn of(cpg: Option<&[u8]>, language: u8) -> Self {
        let cpg = cpg.map(|text| {
            String::from_utf8_lossy(text).trim_matches(['\u{feff}', ' ', '\r', '\n', '\t', '\0']).to_owned()
        });
        match cpg.filter(|name| !name.is_empty()) {
            Some(name) => Self::named(&name),
            None => Self::of_language(language),
        }
    }

    fn named(name: &str) -> Self {
        let upper = name.to_ascii_uppercase();
        if let Some(language) = upper.strip_prefix("LDID/").and_then(|number| number.trim().parse().ok()) {
            return Self::of_language(language);
        }
        let number: String = upper.chars().filter(char::is_ascii_digit).collect();
        let letters: String = upper.chars().filter(char::is_ascii_alphabetic).collect();
        match (letters.as_str(), number.as_str()) {
            ("UTF", "8") | ("" | "CP", "65001") => Self::Utf8,
            ("ISO", "88591") | ("", "88591" | "28591") | ("LATIN", "1") => Self::Latin1,
            ("ISO" | "", part) if part.starts_with("8859") => {
                Self::standard(&format!("iso-8859-{}", part.get(4..).unwrap_or("")), name)
            }
            ("" | "CP" | "ANSI" | "OEM" | "IBM" | "WINDOWS" | "MS" | "DOS", number) => {
                number.parse().map_or_else(|_| Self::Unknown(name.to_owned()), Self::numbered)
            }
            _ => Self::standard(name, name),
        }
    }

    /// A code page of MS-DOS or Windows.
    fn numbered(number: u32) -> Self {
        match number {
            437 => Self::Upper(CP437),
            850 => Self::Upper(CP850),
            866 => Self::standard("ibm866", "866"),
            874 | 1250..=1258 => Self::standard(&format!("windows-{number}"), &number.to_string()),
            932 => Self::standard("shift_jis", "932"),
            936 => Self::standard("gbk", "936"),
            949 => Self::standard("euc-kr", "949"),
            950 => Self::standard("big5", "950"),
            10_000 => Self::standard("macintosh", "10000"),
            65_001 => Self::Utf8,
            _ => Self::Unknown(format!("code page {number}")),
        }
    }

    /// By the language driver byte (dBase IV's and FoxPro's tables; 87 is ISO-8859-1 to OGR, which others follow).
    fn of_language(language: u8) -> Self {
        Self::numbered(match language {
            0 => return Self::Unstated,
            87 => return Self::Latin1,
            1 | 9 | 11 | 13 | 15 | 17 | 21 | 24 | 25 | 27 => 437,
            2 | 10 | 14 | 16 | 18 | 20 | 22 | 26 | 29 | 37 | 55 => 850,
            3 | 88 | 89 => 1252,
            4 => 10_000,
            19 | 123 => 932,
            38 | 101 => 866,
            77 | 122 => 936,
            78 | 121 => 949,
            79 | 120 => 950,
            80 | 124 => 874,
            125 => 1255,
            126 => 1256,
            200 => 1250,
            201 => 1251,
            202 => 1254,
            203 => 1253,
            204 => 1257,
            _ => return Self::Unknown(format!("language driver {language}")),
        })
    }

    fn standard(label: &str, name: &str) -> Self {
        match Encoding::for_label_no_replacement(label.as_bytes()) {
            Some(encoding) if encoding == encoding_rs::UTF_8 => Self::Utf8,
            Some(encoding) => Self::Standard(encoding),
            None => Self::Unknown(name.to_owned()),
        }
    }

    /// The text of these bytes, with U+FFFD for what they cannot mean.
    pub(super) fn text(&self, bytes: &[u8]) -> String {
        let latin1 = || bytes.iter().map(|byte| char::from(*byte)).collect();
        match self {
            // A field that is too short for its text cuts a character in two.
            Self::Utf8 => bytes.utf8_chunks().fold(String::new(), |mut text, chunk| {
                text.push_str(chunk.valid());
                let is_cut = chunk.invalid().as_ptr_range().end == bytes.as_ptr_range().end
                    && std::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none());
                if !chunk.invalid().is_empty() && !is_cut {
                    text.push(char::REPLACEMENT_CHARACTER);
                }
                text
            }),
            Self::Unstated => std::str::from_utf8(bytes).map_or_else(|_| latin1(), str::to_owned),
            Self::Latin1 => latin1(),
            Self::Upper(upper) => bytes
                .iter()
                .map(|byte| match byte.checked_sub(128) {
                    Some(place) => upper.chars().nth(place.into()).unwrap_or(char::REPLACEMENT_CHARACTER),
                    None => char::from(*byte),
                })
                .collect(),
            Self::Standard(encoding) => encoding.decode_without_bom_handling(bytes).0.into_owned(),
            Self::Unknown(_) => String::from_utf8_lossy(bytes).into_owned(),
        }
    }

    /// The text of these bytes.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] for more than ASCII in an encoding that is not read.
    pub(super) fn checked_text(&self, bytes: &[u8]) -> Result<String> {
        if let Self::Unknown(name) = self
            && !bytes.is_ascii()
        {
            return Err(Error::unsupported(format!(
                "text in the encoding `{name}`, which cogclip does not read; convert the shapefile first, for example with \
                 `ogr2ogr -lco ENCODING=UTF-8`"
            )));
        }
        Ok(self.text(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_use_are_known_and_texts_decoded() {
        // The bytes are Python's: "größe €".encode(...), "größe" where the encoding has no euro sign.
        #[track_caller]
        fn check(cpg: &str, language: u8, bytes: &[u8], text: &str) {
            let page = CodePage::of(Some(cpg.as_bytes()), language);
            assert_eq!(page.checked_text(bytes).unwrap(), text, "{page:?}");
        }
        for cpg in ["UTF-8", "utf8\r\n", "65001", "CP65001", "\u{feff}UTF-8"] {
            check(cpg, 87, "größe €".as_bytes(), "größe €");
        }
        for cpg in ["1252", "ANSI 1252", "CP1252", "windows-1252", "LDID/3"] {
            check(cpg, 0, b"gr\xf6\xdfe \x80", "größe €");
        }
        for cpg in ["ISO-8859-1", "ISO 88591", "88591", "LDID/87"] {
            check(cpg, 0, b"gr\xf6\xdfe \x80", "größe \u{80}");
        }
        check("ISO-8859-15", 0, b"gr\xf6\xdfe \xa4", "größe €");
        check("885915", 0, b"\xa4", "€");
        check("1250", 0, b"\x8aumava", "Šumava");
        check("1251", 0, b"\xcb\xe5\xed\xe0", "Лена");
        check("866", 0, b"\x8b\xa5\xad\xa0", "Лена");
        check("IBM850", 0, b"gr\x94\xe1e", "größe");
        check("437", 0, b"gr\x94\xe1e \xff", "größe \u{a0}");
        check("932", 0, b"\x93\x8c\x8b\x9e", "東京");
        check("GBK", 0, b"\xb1\xb1\xbe\xa9", "北京");
        // Without a .cpg the language driver counts; without that, UTF-8 if it can be.
        check("", 3, b"\x80", "€");
        check("", 2, b"\x94", "ö");
        check("", 0, "ö".as_bytes(), "ö");
        check("", 0, b"\xf6", "ö");
        // Cut in two by the end of the field; broken elsewhere
        check("UTF-8", 0, b"gr\xc3\xb6\xc3", "grö");
        check("UTF-8", 0, b"gr\xf6e", "gr\u{fffd}e");
        let unknown = CodePage::of(Some(b"EBCDIC"), 0);
        assert_eq!(unknown.checked_text(b"plain").unwrap(), "plain");
        assert_eq!(unknown.checked_text(b"\xf6").unwrap_err().kind(), crate::ErrorKind::Unsupported);
        assert_eq!(CodePage::of(None, 107), CodePage::Unknown("language driver 107".into()));
    }
}
