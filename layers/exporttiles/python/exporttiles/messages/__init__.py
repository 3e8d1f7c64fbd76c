"""Messages: the documents that one step of an export writes for the next.

Only a work item is passed in the state of the workflow; everything else is stored in
the package bucket under the job's prefix.
"""
