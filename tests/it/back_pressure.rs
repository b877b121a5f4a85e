//! What is held when the destination takes nothing: no more than a clip's own share of memory, however large the source.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use cogclip::clip::Cog;
use cogclip::cutline::{Cutline, Polygon};
use cogclip::grid::PixelRect;
use cogclip::observe::Silent;
use cogclip::options::{ClipOptions, Compress};
use cogclip::sink::SinkOptions;
use cogclip::{Limits, StoreOptions};

use crate::remote::options as store_options;
use crate::server::{Class, Fault, Gate, Rule, Server};

/// Pixels on each side; 16 bits each, uncompressed: 32 MB.
const SIDE: u32 = 4000;
const ROWS_OF_A_STRIP: u32 = 16;

/// What a clip without memory to spare may have read while nothing is taken: 4 MiB ahead, the strips of a row of output
/// tiles (64 rows, 0.5 MB) and of the next, what one part and the held-back start of the object take, and what is between
/// them; with a request of 1.5 MB more for good measure.
const MOST_READ: u64 = 10 << 20;

fn raster() -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = tiff::encoder::TiffEncoder::new(&mut file).unwrap();
    let mut image = encoder.new_image::<tiff::encoder::colortype::Gray16>(SIDE, SIDE).unwrap();
    image.rows_per_strip(ROWS_OF_A_STRIP).unwrap();
    let mut row = 0_u32;
    while image.next_strip_sample_count() > 0 {
        let samples = usize::try_from(image.next_strip_sample_count()).unwrap();
        let strip: Vec<u16> = (0..u32::try_from(samples).unwrap())
            .map(|n| u16::try_from((row * SIDE + n) * 31 % 65_521).unwrap())
            .collect();
        image.write_strip(&strip).unwrap();
        row += ROWS_OF_A_STRIP;
    }
    image.finish().unwrap();
    file.into_inner()
}

fn read(server: &Server) -> u64 {
    let ranges = server.requests().into_iter().filter(|r| r.method == "GET").filter_map(|r| r.range);
    ranges.map(|(start, end)| end - start).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_destination_holds_the_source_back() {
    let server = Arc::new(Server::start());
    let file = raster();
    let size = file.len() as u64;
    server.put("/b/large.tif", file);
    // The first part is taken when a second one comes: with one upload at a time, when the server has waited long enough.
    let gate = Gate::of(usize::MAX);
    server.rule(Rule::once(Class::Part, Fault::Gate(Arc::clone(&gate))));
    let store: StoreOptions = store_options(&server);
    let options = ClipOptions {
        compress: Compress::None,
        blocksize: Some(64),
        overviews: false,
        max_memory: 1,
        threads: 2,
        ..ClipOptions::default()
    };
    let sink =
        SinkOptions { store: store.clone(), part_size: 64 << 10, uploads: 1, ..SinkOptions::default() };
    let mut cog = Cog::open("s3://b/large.tif", &store, &Limits::default()).await.unwrap();
    let corners = PixelRect::of(cog.header().main.size());
    let (x, y) = (f64::from(corners.x1), f64::from(corners.y1));
    let ring = vec![[0.0, 0.0], [x, 0.0], [x, y], [0.0, y], [0.0, 0.0]];
    let cutline = Cutline::new(vec![Polygon { rings: vec![ring] }], None);
    let plan = cog.plan(&cutline, &options).unwrap().unwrap();

    let watcher = tokio::task::spawn_blocking({
        let (server, gate) = (Arc::clone(&server), Arc::clone(&gate));
        move || {
            while gate.arrived() == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            // Reading goes on until it must wait: when nothing more has come for a while.
            let mut before = 0;
            loop {
                let now = read(&server);
                if now == before {
                    return now;
                }
                before = now;
                std::thread::sleep(Duration::from_millis(150));
            }
        }
    });
    let report = cog.clip(plan, "s3://b/out.tif", &options, &sink, &Silent).await.unwrap();
    let held = watcher.await.unwrap();
    assert!(held <= MOST_READ, "{held} of {size} bytes were read while nothing was taken");
    assert!(held < size / 2, "the source is too small to tell");
    assert!(read(&server) >= size - 65_536, "all was read in the end");
    assert_eq!(server.get("/b/out.tif").unwrap().len() as u64, report.published.size);
}
