"""Ask an assistant about a PDF and a table, and save the chart that its code draws.

OPENAI_BASE_URL (http://127.0.0.1:8080/v1) and OPENAI_API_KEY (sk-...) say which server answers.
"""

import warnings
from pathlib import Path
from tempfile import gettempdir

from openai import OpenAI
from openai.types.beta import Thread

# The newest client calls this API deprecated, as OpenAI has switched it off.
warnings.simplefilter("ignore", DeprecationWarning)

REPORT = (
    "The lighthouse of Varde was built in 1887 by the engineer Marta Holm.",
    "Visitors may climb it on Sundays. The entrance fee is six crowns.",
)
TABLE = "month,visitors\nApril,120\nMay,310\nJune,450\n"
CHART = (
    "Draw a bar chart of visitors.csv with matplotlib and save it as /mnt/data/chart.png. "
    "Its columns are month and visitors."
)


def pdf(lines: tuple[str, ...]) -> bytes:
    """Return a PDF of one page with these lines."""
    text = "".join(f"({line}) Tj 0 -20 Td " for line in lines)
    drawn = f"BT /F1 12 Tf 50 750 Td {text}ET"
    bodies = (
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources 6 0 R >>",
        f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        "<< /Font << /F1 5 0 R >> >>",
    )
    page, places = "%PDF-1.4\n", ""
    for number, body in enumerate(bodies, 1):
        places += f"{len(page):010} 00000 n \n"
        page += f"{number} 0 obj\n{body}\nendobj\n"
    count = len(bodies) + 1
    table = f"xref\n0 {count}\n0000000000 65535 f \n{places}"
    end = f"trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{len(page)}\n%%EOF\n"
    return (page + table + end).encode()


def ask(client: OpenAI, thread: Thread, assistant_id: str, question: str) -> None:
    """Ask, print the answer with its sources, and save the pictures and files that came with it."""
    client.beta.threads.messages.create(thread.id, role="user", content=question)
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread.id,
        assistant_id=assistant_id,
        max_completion_tokens=512,
        poll_interval_ms=200,
    )
    print(f"{question}\n  ({run.status})")
    for message in client.beta.threads.messages.list(thread.id, run_id=run.id, order="asc"):
        for part in message.content:
            if part.type == "image_file":
                save(client, part.image_file.file_id, "picture.png")
            if part.type != "text":
                continue
            print(f"  {part.text.value}")
            for note in part.text.annotations:
                if note.type == "file_citation":
                    source = client.files.retrieve(note.file_citation.file_id)
                    print(f"  source: {source.filename}")
                if note.type == "file_path":
                    save(client, note.file_path.file_id, Path(note.text).name)


def save(client: OpenAI, file_id: str, name: str) -> None:
    """Write a file that the assistant has made into the folder for temporary files."""
    path = Path(gettempdir()) / name
    path.write_bytes(client.files.content(file_id).content)
    print(f"  saved {path}")


def main() -> None:
    """Upload, ask, and take away what was uploaded."""
    client = OpenAI()
    report = client.files.create(file=("varde.pdf", pdf(REPORT)), purpose="assistants")
    table = client.files.create(file=("visitors.csv", TABLE.encode()), purpose="assistants")
    store = client.vector_stores.create(file_ids=[report.id])
    assistant = client.beta.assistants.create(
        model="gpt-4o",
        instructions="Answer from the files. Draw charts with code.",
        tools=[{"type": "file_search"}, {"type": "code_interpreter"}],
        tool_resources={
            "file_search": {"vector_store_ids": [store.id]},
            "code_interpreter": {"file_ids": [table.id]},
        },
    )
    thread = client.beta.threads.create()
    ask(client, thread, assistant.id, "Who built the lighthouse of Varde?")
    ask(client, thread, assistant.id, CHART)
    client.beta.threads.delete(thread.id)
    client.beta.assistants.delete(assistant.id)
    client.vector_stores.delete(store.id)
    for file in (report, table):
        client.files.delete(file.id)


if __name__ == "__main__":
    main()
