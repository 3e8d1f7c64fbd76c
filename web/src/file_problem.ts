/** A file that cannot be used; the message is for people. */
export class FileProblem extends Error {}
