//! Cases of the library.

use lucency_tests::units::{cases, table};
use lucency_tests::{error_of, json, run};

use super::refused;

#[test]
fn cases_of_the_library_train_and_judge_as_a_folder_does() {
    let home = tempfile::tempdir().expect("a folder");
    let (home, data) = (home.path(), home.path().join("data"));
    std::fs::create_dir(&data).expect("a folder");
    let rows = cases(&data, 1, 12);
    table(&data, "cases.csv", &rows);
    let columns = "id=patient,image=image,patient=patient,report=report,label=unit";
    let data_word = data.to_str().expect("UTF-8");
    let import = [
        "library",
        "import",
        "table",
        "--table",
        "cases.csv",
        "--source",
        "ward",
    ];
    let mut import = import.to_vec();
    import.extend(["--data", data_word, "--columns", columns]);
    json(home, &import);
    let report = json(
        home,
        &["train", "probe", "--name", "ward", "--library", "all"],
    );
    assert_eq!(report["trained_cases"], 24, "{report}");
    assert_eq!(report["labels"][0]["name"], "unit one");
    let other = [
        "train",
        "prompt",
        "--name",
        "words",
        "--epochs",
        "1",
        "--library",
    ];
    let mut other = other.to_vec();
    other.extend(["source=ward", "--columns", "label=unit one+unit two"]);
    let (code, message) = error_of(&run(home, &other));
    // The library knows of each case one label that is present and none that is absent.
    assert_eq!(code, "bad_data", "{message}");
    let judged = ["eval", "finetune", "--adapter", "ward", "--library", "all"];
    refused(home, &judged, "leak", "judge it on other patients");
    let none = [
        "train",
        "probe",
        "--name",
        "none",
        "--library",
        "source=elsewhere",
    ];
    refused(home, &none, "no_cases", "library list");

    // The tables that training read hold reports: with a case they go too.
    let tables = home.join("library").join("tables");
    let kept = std::fs::read_dir(&tables).expect("tables").count();
    assert!(kept > 0);
    let cases = json(home, &["library", "list", "--filter", "source=ward"]);
    let case = cases["cases"][0]["id"].as_str().expect("a case").to_owned();
    json(home, &["library", "delete", &case]);
    assert!(!tables.exists(), "no table keeps a deleted case");
}
