use super::*;

/// What a printer wrote.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn printer(&self, verbosity: Verbosity, is_terminal: bool) -> Printer {
        Printer::on(Box::new(self.clone()), verbosity, is_terminal, false, false)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Makes a task look `age` old.
fn aged(printer: &Printer, name: &str, age: Duration) -> Task {
    let mut task = printer.task(name, Some(100));
    task.start = Instant::now().checked_sub(age).unwrap();
    task
}

#[test]
fn ends_a_step_with_name_summary_and_time() {
    let buffer = Buffer::default();
    let printer = buffer.printer(Verbosity::Normal, false);
    aged(&printer, "fetching packages", Duration::from_millis(1230)).finish("135 packages, 66 MiB");
    assert_eq!(buffer.text(), "fetching packages … 135 packages, 66 MiB  1.2 s\n");
}

#[test]
fn draws_on_a_terminal_only_after_250_milliseconds() {
    let buffer = Buffer::default();
    let printer = buffer.printer(Verbosity::Normal, true);
    let young = printer.task("reading", Some(10));
    young.advance(5);
    assert_eq!(buffer.text(), "");
    let old = aged(&printer, "fetching", Duration::from_millis(300));
    old.advance(42);
    assert_eq!(buffer.text(), "\r\x1b[Kfetching …  42 %  0.3 s");
    old.advance(1);
    old.finish("done");
    assert_eq!(
        buffer.text(),
        "\r\x1b[Kfetching …  42 %  0.3 s\r\x1b[Kfetching … done  0.3 s\n",
        "a second line within 100 ms, or a line not cleared"
    );
}

#[test]
fn writes_at_most_one_plain_line_per_second() {
    let buffer = Buffer::default();
    let printer = buffer.printer(Verbosity::Normal, false);
    let task = aged(&printer, "fetching", Duration::from_millis(999));
    task.advance(1);
    assert_eq!(buffer.text(), "", "too early");
    let task = aged(&printer, "fetching", Duration::from_millis(1500));
    (0..50).for_each(|_| task.advance(1));
    assert_eq!(buffer.text(), "fetching …   1 %  1.5 s\n");
}

#[test]
fn says_what_its_verbosity_allows() {
    for (verbosity, shown) in [
        (Verbosity::Silent, ""),
        (Verbosity::Quiet, "warning: w\n"),
        (Verbosity::Normal, "warning: w\nn\n"),
        (Verbosity::Verbose, "warning: w\nn\nd\n"),
    ] {
        let buffer = Buffer::default();
        let printer = buffer.printer(verbosity, false);
        printer.warn("w");
        printer.note("n");
        printer.detail("d");
        assert_eq!(buffer.text(), shown, "{verbosity:?}");
    }
}

#[test]
fn clears_the_line_of_a_step_given_up() {
    let buffer = Buffer::default();
    let printer = buffer.printer(Verbosity::Normal, true);
    let task = aged(&printer, "fetching", Duration::from_millis(300));
    task.advance(1);
    drop(task);
    assert!(buffer.text().ends_with(CLEAR_LINE), "{:?}", buffer.text());
}

#[test]
fn keeps_lines_of_concurrent_steps_whole() {
    let buffer = Buffer::default();
    let printer = buffer.printer(Verbosity::Normal, true);
    std::thread::scope(|scope| {
        for index in 0..8 {
            let printer = printer.clone();
            scope.spawn(move || {
                let task = aged(&printer, &format!("step {index}"), Duration::from_secs(1));
                (0..100).for_each(|_| task.advance(1));
                task.finish("done");
            });
        }
    });
    let text = buffer.text();
    for index in 0..8 {
        assert!(text.contains(&format!("step {index} … done  1.")), "{text:?}");
    }
    assert!(text.ends_with(" s\n"), "{text:?}");
}

#[test]
fn colours_only_the_first_word() {
    let buffer = Buffer::default();
    let printer = Printer::on(Box::new(buffer.clone()), Verbosity::Quiet, false, true, false);
    printer.error("error: x\n\nhint: y");
    assert_eq!(buffer.text(), "\x1b[1;31merror:\x1b[0m x\n\n\x1b[1;36mhint:\x1b[0m y\n");
}

#[test]
fn nothing_from_outside_moves_the_cursor() {
    let buffer = Buffer::default();
    let printer = Printer::on(Box::new(buffer.clone()), Verbosity::Verbose, true, false, false);
    let hostile = "a\x1b[2J\u{202e}b";
    printer.warn(hostile);
    printer.note(hostile);
    printer.detail(hostile);
    printer.error(&format!("error: {hostile}\ncaused by: x"));
    aged(&printer, hostile, Duration::ZERO).finish(hostile);
    let shown = "a\\u{1b}[2J\\u{202e}b";
    let expected = format!(
        "warning: {shown}\n{shown}\n{shown}\nerror: {shown}\ncaused by: x\n{shown} … {shown}  0.0 s\n"
    );
    assert_eq!(buffer.text(), expected);
}
