//! Tables, labels and columns that cannot be trained on.

use std::collections::BTreeMap;

use lucency_tests::units::{cases, table};

use super::{LABELS, REPORTS, on, refused};

/// Bad tables by a name: what is changed, the code, and what the message has.
fn bad_tables(
    rows: &[[String; 4]],
) -> BTreeMap<&'static str, (Vec<[String; 4]>, &'static str, &'static str)> {
    let change = |how: &dyn Fn(usize, &mut [String; 4])| {
        let mut rows = rows.to_vec();
        rows.iter_mut().enumerate().for_each(|(i, row)| how(i, row));
        rows
    };
    let mut twice = rows.to_vec();
    let mut copy = twice[0].clone();
    copy[3] = "unit two".into();
    twice.push(copy);
    BTreeMap::from([
        (
            "typo",
            (
                change(&|i, row| {
                    if i == 3 {
                        row[3] = "unit onee".into();
                    }
                }),
                "bad_data",
                "typing error for `unit one`",
            ),
        ),
        (
            "one class",
            (
                change(&|_, row| row[3] = "unit".into()),
                "bad_data",
                "at least two classes",
            ),
        ),
        (
            "one patient",
            (
                change(&|_, row| row[1] = "p".into()),
                "bad_data",
                "want at least two",
            ),
        ),
        (
            "no image",
            (
                change(&|i, row| {
                    if i == 5 {
                        row[0] = "gone.png".into();
                    }
                }),
                "bad_image",
                "row 6",
            ),
        ),
        (
            "no picture",
            (
                change(&|i, row| {
                    if i == 5 {
                        row[0] = "trained.csv".into();
                    }
                }),
                "bad_image",
                "cannot be read",
            ),
        ),
        (
            "outside",
            (
                change(&|i, row| {
                    if i == 5 {
                        row[0] = "../x.png".into();
                    }
                }),
                "bad_image",
                "leaves the folder",
            ),
        ),
        (
            "contradiction",
            (twice, "contradictory_labels", "rows 1 and 25"),
        ),
    ])
}

#[test]
fn bad_input_is_refused_with_what_to_do_and_leaves_nothing_behind() {
    let home = tempfile::tempdir().expect("a folder");
    let (home, data) = (home.path(), home.path().join("data"));
    std::fs::create_dir(&data).expect("a folder");
    let rows = cases(&data, 1, 12);
    let good = table(&data, "trained.csv", &rows);
    for (name, (rows, code, part)) in bad_tables(&rows) {
        let bad = table(&data, &format!("{name}.csv"), &rows);
        for method in ["probe", "lora"] {
            let words = ["train", method, "--name", "bad"];
            refused(home, &on(&words, &data, &bad, LABELS), code, part);
        }
    }
    let mut silent = rows.clone();
    silent.iter_mut().for_each(|row| row[2].clear());
    let silent = table(&data, "silent.csv", &silent);
    let contrastive = ["train", "contrastive", "--name", "bad"];
    refused(
        home,
        &on(&contrastive, &data, &silent, REPORTS),
        "bad_data",
        "reports of at least two",
    );
    refused(
        home,
        &on(&contrastive, &data, &good, LABELS),
        "bad_columns",
        "report=COLUMN",
    );
    let lora = ["train", "lora", "--name", "bad"];
    refused(
        home,
        &on(&lora, &data, &good, REPORTS),
        "bad_columns",
        "label=COLUMN",
    );
    refused(
        home,
        &on(&lora, &data, &good, "image=picture,label=unit"),
        "bad_columns",
        "it has image",
    );
    let rank = ["train", "lora", "--name", "bad", "--rank", "0"];
    refused(home, &on(&rank, &data, &good, LABELS), "bad_plan", "rank");
    let name = ["train", "lora", "--name", "../bad"];
    refused(home, &on(&name, &data, &good, LABELS), "bad_plan", "name");
    let pack = ["train", "lora", "--name", "bad", "--pack", "none"];
    refused(
        home,
        &on(&pack, &data, &good, LABELS),
        "pack_not_found",
        "none",
    );
    for folder in ["adapters/bad", "runs/bad"] {
        assert!(!home.join(folder).exists(), "{folder} was left behind");
    }
}
