"""What one step of an export leaves for the next.

Only a work item travels in the state of the workflow; everything else lies in
the package bucket under the job's prefix.
"""
