//! What an answer of Elasticsearch means, as pure functions: done, again, or never.
//!
//! Retrying is for what can heal: an overloaded or failing node, a blocked index, a refused login (somebody will fix the
//! password). What can't heal is told with its reason and acknowledged, so that one bad document holds nothing up.

use super::answer::ItemError;

/// What to do about one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is indexed.
    Done,
    /// Send it again after a pause.
    Again,
    /// It will never be taken.
    Never,
}

/// What to do about a whole request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestVerdict {
    /// Send all of it again after a pause.
    Again,
    /// Send it in halves, down to the item that is at fault; alone, that will never be taken.
    Split,
}

/// Judges a request that was refused as a whole, by its HTTP status and the type and reason of Elasticsearch's error.
///
/// One line that can't be read makes the whole request a 400, so halving finds it. A 400 that is not in Elasticsearch's words is a
/// proxy's, and a missing `_type` is a matter of the node's version: neither may cost documents.
pub(crate) fn of_request(status: u16, kind: &str, reason: &str) -> RequestVerdict {
    match status {
        413 => RequestVerdict::Split,
        400 if reads_lines(kind) && !reason.contains("type is missing") => RequestVerdict::Split,
        _ => RequestVerdict::Again,
    }
}

/// Whether an error of this type is about the lines of a request.
fn reads_lines(kind: &str) -> bool {
    const KINDS: [&str; 7] = [
        "action_request_validation_exception",
        "illegal_argument_exception",
        "json_e_o_f_exception",
        "json_parse_exception",
        "parse_exception",
        "parsing_exception",
        "x_content_parse_exception",
    ];
    KINDS.contains(&kind)
}

/// Judges an item by its status and its error. `create` says whether a conflict means that the document is there already; `never` are
/// the statuses on which the operator does not want to try again.
///
/// Never is only said about documents: rights (401, 403) and a cluster without room for another index can be mended, and a
/// status that is no client error says nothing about the document at all.
pub(crate) fn of_item(status: u16, error: Option<&ItemError>, create: bool, never: &[u16]) -> Verdict {
    match status {
        200..=299 => Verdict::Done,
        409 if create => Verdict::Done,
        _ if never.contains(&status) => Verdict::Never,
        401 | 403 | 408 | 425 | 429 => Verdict::Again,
        400 if error.is_some_and(out_of_shards) => Verdict::Again,
        400..=499 => Verdict::Never,
        _ => Verdict::Again,
    }
}

/// `cluster.max_shards_per_node` is reached: told as a 400, healed by deleting old indices.
fn out_of_shards(error: &ItemError) -> bool {
    error.reason.contains("maximum") && error.reason.contains("shards open")
}

/// What an operator can do about an error of this type.
pub(crate) fn remedy(status: u16, error: &str) -> &'static str {
    match error {
        "mapper_parsing_exception" | "document_parsing_exception" | "strict_dynamic_mapping_exception" => {
            "the field has another type in the index; convert or rename it in the filter section, or change the index template"
        }
        "validation_exception" => "delete old indices or raise cluster.max_shards_per_node",
        "action_request_validation_exception" => "allow the user to ask for the version (GET /), or see the reason",
        "illegal_argument_exception" => {
            "the index refuses the document as it is; check the reason against the index's settings and mapping"
        }
        "cluster_block_exception" => "the index is blocked, often by a full disk; free space and lift the block",
        "unavailable_shards_exception" => {
            "no node has the shard: one is away, or disks are nine tenths full; GET _cluster/allocation/explain tells which"
        }
        "index_not_found_exception" => "the index is missing and may not be created; check action.auto_create_index",
        "security_exception" => "the user may not write to this index; extend its role",
        _ if status == 413 => {
            "raise http.max_content_length or the proxy's limit, or cut the message in the filter section"
        }
        _ if status == 404 => "check host and path: bulk requests are not answered there",
        _ if status == 401 || status == 403 => "check user, password or api_key and the rights of the user",
        _ => "see the reason",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let (unread, proxy) = ("illegal_argument_exception", "");
        for (status, kind, reason, expected) in [
            (413, "", "", RequestVerdict::Split),
            (400, unread, "Malformed action/metadata line [3]", RequestVerdict::Split),
            (400, "json_parse_exception", "Illegal character", RequestVerdict::Split),
            (
                400,
                "action_request_validation_exception",
                "Validation Failed: 1: type is missing;",
                RequestVerdict::Again,
            ),
            (400, proxy, "<html>Bad Request</html>", RequestVerdict::Again),
            (401, "security_exception", "missing authentication", RequestVerdict::Again),
            (403, "security_exception", "", RequestVerdict::Again),
            (404, "", "", RequestVerdict::Again),
            (406, "", "", RequestVerdict::Again),
            (429, "es_rejected_execution_exception", "", RequestVerdict::Again),
            (301, "", "", RequestVerdict::Again),
            (500, "", "", RequestVerdict::Again),
            (502, "", "", RequestVerdict::Again),
            (503, "", "", RequestVerdict::Again),
        ] {
            assert_eq!(of_request(status, kind, reason), expected, "{status} {kind} {reason}");
        }
    }

    #[test]
    fn items() {
        let full = "Validation Failed: 1: this action would add [2] shards, but this cluster currently has [1000]/[1000] maximum normal shards open;";
        for (status, reason, create, expected) in [
            (200, "", true, Verdict::Done),
            (201, "", true, Verdict::Done),
            (409, "version conflict", true, Verdict::Done),
            (409, "version conflict", false, Verdict::Never),
            (400, "failed to parse field [n] of type [long]", true, Verdict::Never),
            (400, full, true, Verdict::Again),
            (401, "", true, Verdict::Again),
            (403, "index [a] blocked by: [FORBIDDEN/12/index read-only]", true, Verdict::Again),
            (403, "action [indices:admin/auto_create] is unauthorized", true, Verdict::Again),
            (404, "no such index", true, Verdict::Never),
            (408, "", true, Verdict::Again),
            (413, "", true, Verdict::Never),
            (425, "", true, Verdict::Again),
            (429, "rejected execution", true, Verdict::Again),
            (500, "", true, Verdict::Again),
            (503, "", true, Verdict::Again),
            (0, "", true, Verdict::Again),
            (302, "", true, Verdict::Again),
        ] {
            let error = ItemError { kind: "a_kind".into(), reason: reason.into() };
            assert_eq!(of_item(status, Some(&error), create, &[]), expected, "{status} {reason}");
        }
        assert_eq!(of_item(429, None, true, &[403, 429]), Verdict::Never);
        assert_eq!(of_item(503, None, true, &[403, 429]), Verdict::Again);
    }
}
