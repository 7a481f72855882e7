//! The name servers of the simulated Internet: they know the simulator's zones, and nothing else.

use std::io;
use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::thread;

use hetzner_simulator::ZoneRecord;
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::network::{DNS, DNS_V6};

const PORT: u16 = 53;
/// Of a question.
const LONGEST: usize = 1232;
/// Names that lead to each other.
const MOST_STEPS: usize = 8;

/// Tells the records of all zones as they are now.
pub(crate) type Records = dyn Fn() -> Vec<ZoneRecord> + Send + Sync;

/// Answers until the process ends, on every address that name servers have.
pub(crate) fn start(records: &Arc<Records>) -> io::Result<()> {
    let addresses = DNS.map(IpAddr::from).into_iter().chain(DNS_V6.map(IpAddr::from));
    for address in addresses {
        let socket = UdpSocket::bind((address, PORT))?;
        let records = Arc::clone(records);
        thread::Builder::new().name("dns".to_owned()).spawn(move || serve(&socket, &*records))?;
    }
    Ok(())
}

/// What `/etc/resolv.conf` says then.
pub(crate) fn resolver() -> String {
    format!("# The name servers of the Hetzner simulator.\nnameserver {}\nnameserver {}\n", DNS[0], DNS[1])
}

fn serve(socket: &UdpSocket, records: &Records) {
    let mut buffer = [0; LONGEST];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
        let question = buffer.get(..length).and_then(|data| Message::from_vec(data).ok());
        let answer = question.and_then(|question| answer(&question, &records()));
        if let Some(data) = answer.and_then(|answer| answer.to_vec().ok()) {
            // Clients ask again.
            let _ = socket.send_to(&data, peer);
        }
    }
}

/// The answer to a question; none to what is no question.
fn answer(question: &Message, records: &[ZoneRecord]) -> Option<Message> {
    let asked = question.queries.first()?;
    if question.metadata.message_type != MessageType::Query || question.metadata.op_code != OpCode::Query {
        return None;
    }
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.add_query(asked.clone());
    answer.metadata.authoritative = true;
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    let mut name = asked.name().clone();
    let mut is_known = false;
    for _ in 0..MOST_STEPS {
        let found = find(records, &name);
        is_known |= !found.is_empty();
        let mut target = None;
        for record in found {
            let Some(data) = data(record) else { continue };
            if data.record_type() == asked.query_type() || data.record_type() == RecordType::CNAME {
                if let RData::CNAME(CNAME(to)) = &data {
                    target = Some(to.clone());
                }
                let ttl = u32::try_from(record.ttl).unwrap_or(u32::MAX);
                answer.add_answer(Record::from_rdata(name.clone(), ttl, data));
            }
        }
        match target {
            Some(to) if asked.query_type() != RecordType::CNAME => name = to,
            _ => break,
        }
    }
    if !is_known {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
    Some(answer)
}

/// The records of a name: its own, or those of the nearest wildcard above it.
fn find<'a>(records: &'a [ZoneRecord], name: &Name) -> Vec<&'a ZoneRecord> {
    let name = name.to_lowercase().to_ascii();
    let name = name.trim_end_matches('.');
    let of = |wanted: &str| records.iter().filter(|record| record.name == wanted).collect::<Vec<_>>();
    let own = of(name);
    if !own.is_empty() {
        return own;
    }
    let above = name.match_indices('.').map(|(place, _)| of(&format!("*{}", &name[place..])));
    above.into_iter().find(|found| !found.is_empty()).unwrap_or_default()
}

/// A record's value, of the types that are asked for here.
fn data(record: &ZoneRecord) -> Option<RData> {
    match record.kind.as_str() {
        "A" => record.value.parse().ok().map(|address| RData::A(A(address))),
        "AAAA" => record.value.parse().ok().map(|address| RData::AAAA(AAAA(address))),
        "CNAME" => Name::from_ascii(&record.value).ok().map(|name| RData::CNAME(CNAME(name))),
        "TXT" => Some(RData::TXT(TXT::new(vec![record.value.trim_matches('"').to_owned()]))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Query;

    use super::*;

    fn record(name: &str, kind: &str, value: &str) -> ZoneRecord {
        ZoneRecord { name: name.to_owned(), kind: kind.to_owned(), ttl: 60, value: value.to_owned() }
    }

    fn ask(name: &str, kind: RecordType) -> String {
        let records = [
            record("example.org", "SOA", "one.ns.simulator.example. …"),
            record("cluster.example.org", "A", "192.0.2.1"),
            record("cluster.example.org", "A", "192.0.2.2"),
            record("cluster.example.org", "AAAA", "2001:db8:0:1::1"),
            record("*.apps.example.org", "A", "192.0.2.3"),
            record("www.example.org", "CNAME", "cluster.example.org."),
            record("loop.example.org", "CNAME", "loop.example.org."),
        ];
        let mut question = Message::query();
        question.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        let question = Message::from_vec(&question.to_vec().unwrap()).unwrap();
        let answer = answer(&question, &records).unwrap();
        let answer = Message::from_vec(&answer.to_vec().unwrap()).unwrap();
        assert_eq!(answer.metadata.id, question.metadata.id);
        let mut shown = vec![answer.metadata.response_code.to_string()];
        shown.extend(answer.answers.iter().map(|record| record.data.to_string()));
        shown.join(" ")
    }

    #[test]
    fn names_lead_where_the_zone_says() {
        for (name, kind, expected) in [
            ("cluster.example.org.", RecordType::A, "No Error 192.0.2.1 192.0.2.2"),
            ("Cluster.Example.ORG.", RecordType::AAAA, "No Error 2001:db8:0:1::1"),
            ("cluster.example.org.", RecordType::TXT, "No Error"),
            ("argocd.apps.example.org.", RecordType::A, "No Error 192.0.2.3"),
            ("a.b.apps.example.org.", RecordType::A, "No Error 192.0.2.3"),
            ("apps.example.org.", RecordType::A, "Non-Existent Domain"),
            ("www.example.org.", RecordType::A, "No Error cluster.example.org. 192.0.2.1 192.0.2.2"),
            ("example.org.", RecordType::A, "No Error"),
            ("debian.example.", RecordType::A, "Non-Existent Domain"),
        ] {
            assert_eq!(ask(name, kind), expected, "{name} {kind}");
        }
        assert_eq!(ask("loop.example.org.", RecordType::A).matches("loop").count(), MOST_STEPS);
    }
}
