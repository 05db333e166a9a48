//! Every layout, on files written as it is published.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Place, cases, pdf, run};
use lucency_library::import::{Format, ImportPlan, Policy};
use lucency_library::{LabelValue, TextKind};

#[test]
fn vqa_rad_as_published_has_its_split_in_the_phrase_type() {
    let place = Place::new();
    place.picture("VQA_RAD Image Folder/synpic1.jpg", 1);
    place.write(
        "VQA_RAD Dataset Public.json",
        r#"[{"qid": 1, "phrase_type": "freeform", "image_case_url": "https://medpix.nlm.nih.gov/case?id=1",
             "image_name": "synpic1.jpg", "image_organ": "HEAD", "question": "Is there a mass?", "question_type": "PRES, SIZE",
             "answer": "Yes", "answer_type": "CLOSED "},
            {"qid": 2, "phrase_type": "test_freeform", "image_case_url": "https://medpix.nlm.nih.gov/case?id=1",
             "image_name": "synpic1.jpg", "image_organ": "HEAD", "question": "How many?", "question_type": "COUNT",
             "answer": 3, "answer_type": "OPEN"}]"#,
    );
    let report = place.import(Format::VqaRad);
    assert_eq!((report.rows, report.taken, report.joined), (2, 1, 1));
    assert_eq!(
        report.leaks.images_with_questions_in_two_splits, 1,
        "known of this data set"
    );
    let case = &cases(&place.open())[0];
    assert_eq!(case.facts.body_part.as_deref(), Some("HEAD"));
    assert!(case.patient.is_some(), "the MedPix case is the patient");
    let splits: Vec<_> = case.questions.iter().map(|q| q.split.as_deref()).collect();
    assert_eq!(splits, [Some("train"), Some("test")]);
    assert_eq!(case.questions[0].answer_type.as_deref(), Some("CLOSED"));
    assert_eq!(
        case.questions[1].answer.as_deref(),
        Some("3"),
        "answers may be numbers"
    );
}

#[test]
fn slake_brings_both_languages_and_the_boxes_of_its_masks() {
    let place = Place::new();
    place.picture("imgs/xmlab0/source.jpg", 2);
    place.picture("imgs/xmlab0/mask.png", 3);
    place.write(
        "imgs/xmlab0/detection.json",
        r#"[{"Liver": [3.0, 4.0, 20.5, 10.0]}, {"Left Kidney": [40, 20, 10, 12]}]"#,
    );
    let row = |qid: u32, lang: &str, question: &str, answer: &str| {
        format!(
            r#"{{"img_id": 0, "img_name": "xmlab0/source.jpg", "question": "{question}", "answer": "{answer}",
                "q_lang": "{lang}", "location": "Abdomen", "modality": "MRI", "answer_type": "OPEN", "base_type": "vqa",
                "content_type": "Modality", "triple": ["vhead", "_", "_"], "qid": {qid}}}"#
        )
    };
    let rows = [
        row(9, "en", "What modality is this?", "MRI"),
        row(10, "zh", "这是什么成像方式？", "核磁共振"),
    ];
    place.write("train.json", format!("[{}]", rows.join(",\n")));
    let report = place.import(Format::Slake);
    assert_eq!((report.taken, report.joined, report.rejected), (1, 1, 0));
    let case = &cases(&place.open())[0];
    assert_eq!(case.facts.modality.as_deref(), Some("MR"));
    assert_eq!(case.facts.split.as_deref(), Some("train"));
    assert_eq!(case.questions.len(), 2);
    assert_eq!(case.questions[1].answer.as_deref(), Some("核磁共振"));
    assert_eq!(case.regions.len(), 2, "two boxes, once");
    assert_eq!(
        (case.regions[0].label.as_str(), case.regions[0].width),
        ("Liver", 20.5)
    );
    // As corners this box would end above and left of where it begins, as one of the published ones would.
    let kidney = &case.regions[1];
    assert_eq!(
        (kidney.x, kidney.y, kidney.width, kidney.height),
        (40.0, 20.0, 10.0, 12.0)
    );
    assert_eq!(case.images.len(), 1, "the mask is no image of the case");

    let english = ImportPlan {
        language: Some("en".into()),
        source: Some("english".into()),
        ..place.plan(Format::Slake)
    };
    let report = run(&place.open(), &english);
    assert_eq!((report.taken, report.rejected), (1, 1));
    assert_eq!(report.causes[0].code, "other_language");
}

#[test]
fn vqa_med_2019_reads_categories_and_the_test_set() {
    let place = Place::new();
    let train = "ImageClef-2019-VQA-Med-Training";
    place.picture(&format!("{train}/Train_images/synpic1.jpg"), 1);
    place.picture("VQAMed2019Test/VQAMed2019_Test_Images/synpic2.jpg", 2);
    place.write(
        &format!("{train}/All_QA_Pairs_train.txt"),
        "synpic1|what kind of image is this?|cta - ct angiography\nsynpic1|is this a ct?|yes\n",
    );
    for (file, row) in [
        (
            "C1_Modality",
            "synpic1|what kind of image is this?|cta - ct angiography",
        ),
        ("C2_Plane", "synpic1|in what plane is this?|axial"),
        (
            "C3_Organ",
            "synpic1|what organ is shown?|lung, mediastinum, pleura",
        ),
        (
            "C4_Abnormality",
            "synpic1|what is abnormal?|pulmonary embolism",
        ),
    ] {
        place.write(
            &format!("{train}/QAPairsByCategory/{file}_train.txt"),
            format!("{row}\n"),
        );
    }
    place.write(
        "VQAMed2019Test/VQAMed2019_Test_Questions_w_Ref_Answers.txt",
        "synpic2|abnormality|what is wrong?|anaplastic oligodendroglioma#multi-cystic complex mass\nsynpic2|plane\n",
    );
    let report = place.import(Format::VqaMed2019);
    assert_eq!(
        (report.rows, report.taken, report.joined, report.rejected),
        (6, 2, 3, 1)
    );
    assert_eq!(
        report.rejects[0].code, "malformed_row",
        "two of four fields"
    );
    let cases = cases(&place.open());
    let kinds: Vec<_> = cases[0]
        .questions
        .iter()
        .map(|q| q.question_type.as_deref().unwrap())
        .collect();
    assert_eq!(kinds, ["modality", "plane", "organ", "abnormality"]);
    assert_eq!(cases[1].facts.split.as_deref(), Some("test"));
}

#[test]
fn roco_reads_csv_captions_in_text_and_json() {
    let place = Place::new();
    place.picture("all_data/train/radiology/images/PMC1_fig1.jpg", 1);
    place.picture("all_data/test/radiology/images/ROCO_00002.jpg", 2);
    place.write(
        "all_data/train/radiology/traindata.csv",
        "id,name,caption\nROCO_00001,PMC1_fig1.jpg,\"Chest CT, axial view\n with \"\"mass\"\"\"\nROCO_9,gone.jpg,lost\n",
    );
    place.write(
        "all_data/test/radiology/captions.txt",
        "ROCO_00002\t Panoramic radiograph\n",
    );
    let report = place.import(Format::Roco);
    assert_eq!((report.taken, report.rejected), (2, 1));
    assert_eq!(report.rejects[0].code, "missing_image");
    let taken = cases(&place.open());
    assert_eq!(taken[0].texts[0].kind, TextKind::Caption);
    assert_eq!(
        taken[0].texts[0].body,
        "Chest CT, axial view\n with \"mass\""
    );
    let splits: Vec<_> = taken
        .iter()
        .map(|case| case.facts.split.as_deref())
        .collect();
    assert_eq!(splits, [Some("train"), Some("test")]);

    for (name, json) in [
        (
            "coco",
            r#"{"annotations": [{"image_id": "x", "caption": "An X ray"}]}"#,
        ),
        (
            "map",
            "{\n \"x.png\": \"An X ray\",\n \"y.png\": \"lost\"\n}",
        ),
        ("list", r#"[{"id": "x", "caption": "An X ray"}]"#),
        (
            "lines",
            "{\"id\": \"x\", \"caption\": \"An X ray\"}\n{\"id\": \"x\", \"caption\": \"again\"}\n",
        ),
    ] {
        let place = Place::new();
        place.picture("images/x.png", 3);
        place.write("captions.json", json);
        let plan = ImportPlan {
            table: Some("captions.json".into()),
            ..place.plan(Format::Roco)
        };
        let report = run(&place.open(), &plan);
        assert_eq!(report.taken, 1, "{name}: {report:?}");
        assert_eq!(cases(&place.open())[0].texts[0].body, "An X ray", "{name}");
    }
}

#[test]
fn medicat_is_one_figure_a_line() {
    let place = Place::new();
    place.picture("figures/57c9_2-Figure1-1.png", 1);
    place.write(
        "s2_full_figures_oa_nonroco_combined_medical_top4_public.jsonl",
        concat!(
            r#"{"pdf_hash": "57c9", "fig_key": "Figure1", "fig_uri": "2-Figure1-1.png", "s2_caption": "Barium enema", "#,
            r#""s2orc_caption": null, "s2orc_references": ["A stricture (Figure 1).", "Again."], "radiology": true}"#,
            "\n{\"pdf_hash\": \"57c9\", \"fig_uri\": \"broken\n"
        ),
    );
    let report = place.import(Format::Medicat);
    assert_eq!((report.taken, report.rejected), (1, 1));
    assert_eq!(report.rejects[0].row, 2);
    let case = &cases(&place.open())[0];
    assert_eq!(case.texts[1].body, "A stricture (Figure 1).\nAgain.");
    assert_eq!(case.labels[0].name, "radiology");
}

#[test]
fn chexpert_keeps_uncertain_labels_or_decides_them() {
    let header = "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,\
                  Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,\
                  Fracture,Support Devices\n";
    let place = Place::new();
    let folder = "train/patient00001/study1";
    place.picture(&format!("{folder}/view1_frontal.jpg"), 1);
    place.picture(&format!("{folder}/view2_lateral.jpg"), 2);
    let row = |view: &str, kind: &str, position: &str| {
        format!(
            "CheXpert-v1.0-small/{folder}/{view}.jpg,Female,68,{kind},{position},,,-1.0,1.0,,,,0.0,,,,,,1.0\n"
        )
    };
    place.write(
        "train.csv",
        format!(
            "{header}{}{}",
            row("view1_frontal", "Frontal", "AP"),
            row("view2_lateral", "Lateral", "")
        ),
    );
    let wanted = [
        (Policy::Keep, Some(LabelValue::Uncertain)),
        (Policy::Ones, Some(LabelValue::Positive)),
        (Policy::Zeros, Some(LabelValue::Negative)),
        (Policy::Ignore, None),
    ];
    for (policy, cardiomegaly) in wanted {
        let place_of_policy = Place::new();
        let plan = ImportPlan {
            policy,
            ..place.plan(Format::Chexpert)
        };
        let store = place_of_policy.open();
        let report = run(&store, &plan);
        assert_eq!((report.taken, report.joined), (1, 1), "a study is a case");
        let case = &cases(&store)[0];
        let value = |name: &str| case.labels.iter().find(|l| l.name == name).map(|l| l.value);
        assert_eq!(value("Cardiomegaly"), cardiomegaly, "{policy:?}");
        assert_eq!(value("Lung Opacity"), Some(LabelValue::Positive));
        assert_eq!(value("Pneumonia"), Some(LabelValue::Negative));
        assert_eq!(value("Edema"), None, "not mentioned");
        let views: Vec<_> = case
            .images
            .iter()
            .map(|i| i.view.as_deref().unwrap())
            .collect();
        assert_eq!(views, ["AP", "LATERAL"]);
        assert_eq!(
            (case.facts.sex.as_deref(), case.facts.age),
            (Some("F"), Some(68))
        );
    }
}

#[test]
fn rsna_joins_boxes_and_classes_of_an_image() {
    let place = Place::new();
    for (name, seed) in [("a1", 1), ("b2", 2)] {
        let picture = place.picture(&format!("{name}.png"), seed);
        // Content decides what a file is, never its name.
        let to = place.write(&format!("stage_2_train_images/{name}.dcm"), "");
        std::fs::rename(picture, to).unwrap();
    }
    place.write(
        "stage_2_train_labels.csv",
        "patientId,x,y,width,height,Target\na1,,,,,0\nb2,3.0,4.0,10.0,12.0,1\nb2,30.0,4.0,10.0,12.0,1\nb2,60,4,10,12,1\n",
    );
    place.write(
        "stage_2_detailed_class_info.csv",
        "patientId,class\na1,No Lung Opacity / Not Normal\nb2,Lung Opacity\n",
    );
    let report = place.import(Format::Rsna);
    assert_eq!((report.taken, report.rejected), (2, 1));
    assert_eq!(report.rejects[0].code, "bad_box", "60 + 10 of 64 columns");
    let cases = cases(&place.open());
    assert_eq!(cases[0].labels.len(), 2);
    assert_eq!(cases[0].regions.len(), 0);
    assert_eq!(cases[1].regions.len(), 2);
}

#[test]
fn embed_joins_images_and_findings_of_an_examination() {
    let place = Place::new();
    place.picture("images/cohort_1/100/200/a.png", 1);
    place.write(
        "tables/EMBED_OpenData_metadata.csv",
        "empi_anon,acc_anon,anon_dicom_path,study_date_anon,FinalImageType,ImageLateralityFinal,ViewPosition,num_roi,ROI_coords\n\
         100,200,/mnt/NAS2/mammo/anon_dicom/cohort_1/100/200/a.png,2014-05-06,2D,L,MLO,1,\"((4, 3, 20, 30),)\"\n",
    );
    place.write(
        "tables/EMBED_OpenData_clinical.csv",
        "empi_anon,acc_anon,study_date_anon,asses,tissueden,side,path_severity,age_at_study,GENDER_DESC\n\
         100,200,2014-05-06,S,3.0,L,0.0,61.5,Female\n100,200,2014-05-06,N,3.0,R,,61.5,Female\n100,201,2014,?,1,,,,\n",
    );
    let report = place.import(Format::Embed);
    assert_eq!((report.taken, report.joined, report.rejected), (1, 2, 1));
    let case = &cases(&place.open())[0];
    let labels: Vec<_> = case.labels.iter().map(|l| l.name.as_str()).collect();
    assert_eq!(
        labels,
        [
            "BI-RADS 1",
            "BI-RADS 4",
            "density C",
            "pathology: invasive cancer"
        ]
    );
    assert_eq!(case.images[0].view.as_deref(), Some("L MLO"));
    let region = &case.regions[0];
    assert_eq!(
        (region.x, region.y, region.width, region.height),
        (3.0, 4.0, 27.0, 16.0)
    );
    assert_eq!(
        (case.facts.age, case.facts.date.as_deref()),
        (Some(61), Some("2014-05-06"))
    );
}

#[test]
fn melinda_has_methods_as_labels() {
    let place = Place::new();
    place.picture("melinda_images/10.png", 1);
    place.write(
        "dev.csv",
        "figure_file,caption,i_meth,p_meth,i_meth_label,p_meth_label\n10.png,Western blot,MI:0006,MI:0113,affinity,western\n",
    );
    let report = place.import(Format::Melinda);
    assert_eq!(report.taken, 1);
    let case = &cases(&place.open())[0];
    assert_eq!(case.facts.split.as_deref(), Some("validation"));
    assert_eq!(case.labels[1].name, "i_meth_label: affinity");
}

#[test]
fn a_folder_per_class_may_be_split() {
    let place = Place::new();
    place.picture("train/hand/1.png", 1);
    place.picture("test/head/2.png", 2);
    place.picture("loose.png", 3);
    place.picture("foot/3.png", 4);
    let report = place.import(Format::Classes);
    assert_eq!((report.taken, report.rejected), (3, 1));
    let mut found: Vec<_> = cases(&place.open())
        .iter()
        .map(|case| (case.labels[0].name.clone(), case.facts.split.clone()))
        .collect();
    found.sort();
    let split = |name: &str| Some(name.to_owned());
    assert_eq!(
        found,
        [
            ("foot".into(), None),
            ("hand".into(), split("train")),
            ("head".into(), split("test"))
        ]
    );
}

#[test]
fn any_table_is_read_through_a_map_of_its_columns() {
    let place = Place::new();
    place.picture("images/1.png", 1);
    place.picture("2.png", 2);
    let table = "file;pid;text;f1;f2;pos;geschlecht;alter;wann\n\
                 1.png;P1;Keine Stauung;-1;nodule|mass;pa;w;71;31.12.2020\n\
                 2;P1;Erguss links;0;;AP;M;080Y;2021\n";
    place.write("cases.csv", format!("\u{feff}{table}"));
    let mut plan = ImportPlan {
        table: Some("cases.csv".into()),
        modality: Some("x-ray".into()),
        ..place.plan(Format::Table)
    };
    plan.columns = "image=file,patient=pid,report=text,label=f1,label=f2,view=pos,sex=geschlecht,age=alter,date=wann"
        .parse()
        .unwrap();
    let store = place.open();
    let report = run(&store, &plan);
    assert_eq!((report.taken, report.rejected), (2, 0), "{report:?}");
    let cases = cases(&store);
    let labels: Vec<_> = cases[0]
        .labels
        .iter()
        .map(|l| (l.name.as_str(), l.value.number()))
        .collect();
    assert_eq!(labels, [("f1", -1), ("mass", 1), ("nodule", 1)]);
    assert_eq!(cases[0].facts.date.as_deref(), Some("2020-12-31"));
    assert_eq!(cases[0].facts.modality.as_deref(), Some("DX"));
    assert_eq!(cases[1].facts.age, Some(80));
    assert_eq!(
        cases[0].patient, cases[1].patient,
        "one patient, one pseudonym"
    );
    assert!(!cases[0].patient.as_deref().unwrap().contains("P1"));

    plan.columns = "image=file,report=txt".parse().unwrap();
    let error = lucency_library::import::import(&store, &plan, &|| false, &mut |_| {}).unwrap_err();
    assert_eq!(error.code(), "bad_layout");
    assert!(
        error.to_string().contains("pid, text"),
        "names the columns: {error}"
    );
}

#[test]
fn reports_lie_beside_images_as_text_or_pdf() {
    let place = Place::new();
    place.picture("a.png", 1);
    place.write("a.txt", "FINDINGS: clear lungs\r\nIMPRESSION: normal\r\n");
    place.picture("b.png", 2);
    place.write(
        "b.pdf",
        pdf("Right pleural effusion.\nPatient Name: DOE, JANE\nNo pneumothorax."),
    );
    place.picture("study/1.png", 3);
    place.picture("study/2.png", 4);
    place.write("study/report.txt", "Two views. Fracture of the rib.");
    place.picture("c.png", 5);
    place.picture("d.png", 6);
    place.write("d.pdf", &pdf("x")[..120]);
    place.picture("e.png", 7);
    place.write("e.pdf", &pdf("x")[1..]);
    let report = place.import(Format::Reports);
    assert_eq!(
        (
            report.taken,
            report.joined,
            report.rejected,
            report.redacted
        ),
        (3, 1, 3, 1)
    );
    let causes: Vec<_> = report
        .causes
        .iter()
        .map(|cause| cause.code.as_str())
        .collect();
    assert_eq!(causes, ["damaged_pdf", "no_report"]);
    let cases = cases(&place.open());
    assert_eq!(
        cases[0].texts[0].body,
        "FINDINGS: clear lungs\nIMPRESSION: normal"
    );
    let words: Vec<&str> = cases[1].texts[0].body.split_whitespace().collect();
    assert_eq!(words.join(" "), "Right pleural effusion. No pneumothorax.");
    assert_eq!(
        (cases[2].images.len(), cases[2].texts.len()),
        (2, 1),
        "the folder is the case"
    );
}
