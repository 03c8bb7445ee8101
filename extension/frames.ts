// The messages in what a process writes to its standard output, without what is none of them.
import { Transform, type TransformCallback } from "node:stream";

const HEADER = /Content-Length: *(\d+)[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n/i;
const BEGINNING = "Content-Length:";
/** Bytes without a header after which they can't be the beginning of one. */
const MOST = 16 * 1024;

/** Passes messages on as they are. What stands between two of them, which a start-up file or a library of the interpreter's printed,
 * goes to `stray`; `heard` is told of each piece of a message. */
export class Frames extends Transform {
  private between: Buffer = Buffer.alloc(0);
  private left = 0;

  constructor(
    private readonly stray: (text: string) => void,
    private readonly heard: () => void,
  ) {
    super();
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    let rest: Buffer = chunk;
    while (rest.length > 0) {
      if (this.left > 0) {
        const body = rest.subarray(0, this.left);
        this.left -= body.length;
        rest = rest.subarray(body.length);
        this.push(body);
        this.heard();
      } else {
        rest = this.begin(rest);
      }
    }
    done();
  }

  override _flush(done: TransformCallback): void {
    this.discard(this.between.length);
    done();
  }

  /** Passes a whole header on; what stands behind it. Empty while there is none. */
  private begin(chunk: Buffer): Buffer {
    this.between = Buffer.concat([this.between, chunk]);
    const found = HEADER.exec(this.between.toString("latin1"));
    if (found === null) {
      if (this.between.length > MOST) this.discard(this.between.length - BEGINNING.length);
      return Buffer.alloc(0);
    }
    this.discard(found.index);
    const header = this.between.subarray(0, found[0].length);
    const behind = this.between.subarray(found[0].length);
    this.between = Buffer.alloc(0);
    this.left = Number(found[1]);
    this.push(header);
    return behind;
  }

  private discard(length: number): void {
    const text = this.between.subarray(0, length).toString("utf8").trim();
    this.between = this.between.subarray(length);
    if (text !== "") this.stray(text);
  }
}
